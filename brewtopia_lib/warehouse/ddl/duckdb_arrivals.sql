-- What a load begins with. Reads lake_current.

-- one row per raw object whose current version is not loaded
create temp table arrivals as
select lake_current.*
from lake_current
left join loads
    on lake_current.source = loads.source
    and lake_current.version = loads.version
    and lake_current.batch = loads.batch
    and loads.is_current
where loads.source is null;

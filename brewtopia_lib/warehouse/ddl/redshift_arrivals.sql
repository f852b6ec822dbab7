-- Enter the new batches into the ledger, and find the raw objects whose current version is not
-- loaded. Reads stage_objects.

insert into load_ledger (
    batch, object_no, source, version, as_of, feed, feed_digest, feeds_digest,
    rows, orders, lines, rejected, revenue, cleaned_at
)
select
    batch, object_no, source, version, as_of, feed, feed_digest, feeds_digest,
    rows, orders, lines, rejected, revenue, cleaned_at
from stage_objects;

-- one row per raw object: the version that its source held last
create temp table lake_current as
select batch, object_no, source, version, orders, rejected
from (
    select
        batch, object_no, source, version, orders, rejected,
        row_number() over (
            partition by source order by as_of desc, batch desc, object_no
        ) as place
    from load_ledger
) as versions
where place = 1;

-- one row per raw object whose current version is not loaded
create temp table arrivals as
select
    lake_current.batch, lake_current.object_no, lake_current.source, lake_current.version,
    lake_current.orders, lake_current.rejected
from lake_current
left join loads
    on loads.source = lake_current.source
    and loads.version = lake_current.version
    and loads.batch = lake_current.batch
    and loads.is_current
where loads.source is null;

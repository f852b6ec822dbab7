-- One row per distinct timestamp text.
create or replace temp table times as
with parsed as (
    select text, try_strptime(trim(text), getvariable('timestamp_formats')) as sold_at
    from (select distinct sold_at as text from raw)
)
select text, case when year(sold_at) between 1990 and 2100 then sold_at end as sold_at
from parsed;

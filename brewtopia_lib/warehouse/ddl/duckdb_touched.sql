-- Which branch-days a load makes anew, and from which raw objects: every branch-day that a new or
-- changed one speaks of, or spoke of before, from all that speak of it now.
-- Reads arrivals, lake_current, and lake_orders of the arrivals' batches.

create temp table arrival_days as
select distinct arrivals.source, lake_orders.branch, cast(lake_orders.sold_at as date) as sold_on
from lake_orders
join arrivals using (batch, object_no);

-- one row per branch-day to be made anew
create temp table touched as
select branch, sold_on from arrival_days
union
select branch, sold_on from object_days where source in (select source from arrivals);

delete from object_days where source in (select source from arrivals);

-- one row per raw object that speaks of a touched branch-day, and its place in the lake
create temp table providers as
select batch, object_no, source from arrivals
union all
select lake_current.batch, lake_current.object_no, lake_current.source
from lake_current
where lake_current.source in (
    select object_days.source from object_days join touched using (branch, sold_on)
);

insert into object_days select * from arrival_days;

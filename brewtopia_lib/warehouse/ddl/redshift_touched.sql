-- Find the branch-days to be made anew, and every raw object that speaks of one of them.
-- Reads arrivals, lake_current and stage_orders with the orders of all arrivals.

create temp table arrival_days as
select distinct
    arrivals.source,
    stage_orders.branch,
    cast(stage_orders.sold_at as date) as sold_on
from stage_orders
inner join arrivals
    on arrivals.batch = stage_orders.batch and arrivals.object_no = stage_orders.object_no;

-- one row per branch-day to be made anew
create temp table touched as
select branch, sold_on from arrival_days
union
select branch, sold_on from object_days where source in (select source from arrivals);

delete from object_days where source in (select source from arrivals);

-- one row per raw object that speaks of a touched branch-day, and its place in the lake
create temp table providers as
select batch, object_no, source, orders from arrivals
union all
select batch, object_no, source, orders
from lake_current
where source in (
    select object_days.source
    from object_days
    inner join touched
        on touched.branch = object_days.branch and touched.sold_on = object_days.sold_on
);

insert into object_days (source, branch, sold_on)
select source, branch, sold_on from arrival_days;

-- Make the touched branch-days anew from what their providers say, and note what was loaded.
-- Reads arrivals, touched, providers, lake_current and lake_objects; lake_rejects of the arrivals'
-- batches; lake_orders, lake_lines and lake_items of the providers' batches.

-- Baskets and their lines keep the order they have in the lake: a number here is one there plus
-- what is added for its batch, which leaves out what other loads and batches have taken.
create temp table batch_numbers as
select
    batch,
    (select coalesce(max(basket_no), 0) from basket_lines)
    + cast(coalesce(sum(1 + most) over (
        order by batch rows between unbounded preceding and 1 preceding
    ), 0) as bigint)
    + 1 as added
from (select batch, max(basket_no) as most from lake_lines group by batch);

create temp table incoming as
select
    providers.source, lake_orders.order_high, lake_orders.order_low, lake_orders.branch,
    lake_orders.sold_at, lake_orders.payment, lake_orders.total, lake_orders.total_matches,
    lake_orders.basket_no + batch_numbers.added as basket_no
from lake_orders
join providers using (batch, object_no)
join batch_numbers using (batch)
semi join touched
    on lake_orders.branch = touched.branch
    and cast(lake_orders.sold_at as date) = touched.sold_on;

-- an order that several objects tell of is one order
create temp table repeated as
with shared_days as (
    select branch, sold_on
    from object_days
    join touched using (branch, sold_on)
    group by branch, sold_on
    having count(*) > 1
)
select order_high, order_low, min(source) as source
from incoming
semi join shared_days
    on incoming.branch = shared_days.branch
    and cast(incoming.sold_at as date) = shared_days.sold_on
group by order_high, order_low
having count(*) > 1;

delete from incoming using repeated
where incoming.order_high = repeated.order_high
    and incoming.order_low = repeated.order_low
    and incoming.source <> repeated.source;

insert into items
with lake_distinct as (
    select distinct product, size, flavour, quantity, unit_price, line_total
    from lake_items
)
select
    (select coalesce(max(item_no), 0) from items)
    + cast(row_number() over (
        order by product, size, flavour, quantity, unit_price, line_total
    ) as integer) as item_no,
    *
from lake_distinct as lake
where not exists (
    select 1 from items
    where items.product = lake.product
        and items.size is not distinct from lake.size
        and items.flavour is not distinct from lake.flavour
        and items.quantity = lake.quantity
        and items.unit_price = lake.unit_price
        and items.line_total = lake.line_total
);

create temp table new_items as
select lake_items.batch, lake_items.item_no as lake_item_no, items.item_no
from lake_items
join items
    on items.product = lake_items.product
    and items.size is not distinct from lake_items.size
    and items.flavour is not distinct from lake_items.flavour
    and items.quantity = lake_items.quantity
    and items.unit_price = lake_items.unit_price
    and items.line_total = lake_items.line_total;

create temp table new_lines as
with numbered as (
    select
        batch, lines.basket_no + batch_numbers.added as basket_no, line_no,
        lines.item_no as lake_item_no
    from lake_lines as lines
    join batch_numbers using (batch)
)
select basket_no, line_no, new_items.item_no
from numbered
join new_items using (batch, lake_item_no)
semi join incoming using (basket_no);

create temp table removed as
select distinct basket_no
from order_facts
semi join touched
    on order_facts.branch = touched.branch
    and cast(order_facts.sold_at as date) = touched.sold_on;

delete from order_facts using touched
where order_facts.branch = touched.branch and cast(order_facts.sold_at as date) = touched.sold_on;

delete from basket_lines
where basket_no in (select basket_no from removed)
    and basket_no not in (
        select basket_no from order_facts semi join removed using (basket_no)
    );

delete from hourly_sales using touched
where hourly_sales.branch = touched.branch and hourly_sales.sold_on = touched.sold_on;

insert into basket_lines select * from new_lines;

insert into order_facts
with sums as (
    select
        basket_no,
        cast(count(*) as integer) as line_count,
        cast(sum(quantity) as integer) as units,
        cast(sum(line_total) as decimal(12, 2)) as lines_total
    from new_lines
    join items using (item_no)
    group by basket_no
)
select
    incoming.order_high, incoming.order_low, incoming.branch, incoming.sold_at, incoming.payment,
    incoming.total, sums.lines_total, sums.line_count, sums.units, incoming.total_matches,
    basket_no
from incoming
join sums using (basket_no);

-- counted by number first, since there are many rows and few names
insert into hourly_sales
with slots as (
    select branch, date_trunc('hour', sold_at) as hour_start, row_number() over () as slot_no
    from incoming
    group by branch, hour_start
),
slot_orders as (
    select slot_no, basket_no
    from incoming
    join slots
        on incoming.branch = slots.branch
        and date_trunc('hour', incoming.sold_at) = slots.hour_start
),
names as (
    select item_no, quantity, line_total, dense_rank() over (order by product, size, flavour)
        as name_no
    from items
),
name_texts as (
    select distinct name_no, product, size, flavour
    from names
    join items using (item_no)
),
slot_names as (
    select
        slot_no,
        name_no,
        cast(sum(quantity) as bigint) as units,
        cast(sum(line_total) as decimal(12, 2)) as revenue
    from slot_orders
    join new_lines using (basket_no)
    join names using (item_no)
    group by slot_no, name_no
)
select
    branch, cast(hour_start as date) as sold_on, cast(hour(hour_start) as smallint) as hour,
    product, size, flavour, units, revenue
from slot_names
join slots using (slot_no)
join name_texts using (name_no);

delete from rejects where source in (select source from arrivals);

insert into rejects
select
    arrivals.source, line_number, reason, lake_rejects.branch, sold_on, total, row_length
from lake_rejects
join arrivals using (batch, object_no);

create temp table earlier_loads as
select source, version, batch, loaded_at
from loads
where source in (select source from arrivals);

delete from loads using lake_objects
where loads.source = lake_objects.source
    and loads.version = lake_objects.version
    and loads.source in (select source from arrivals);

insert into loads
with versions as (
    select
        *,
        row_number() over (
            partition by source, version order by as_of desc, batch desc, object_no
        ) as place
    from lake_objects
    where source in (select source from arrivals)
)
select
    versions.source, versions.version, versions.feed, versions.rows, versions.orders,
    versions.lines, versions.rejected, versions.revenue, versions.cleaned_at,
    coalesce(earlier_loads.loaded_at, getvariable('loaded_at')) as loaded_at,
    lake_current.source is not null as is_current,
    versions.batch
from versions
left join lake_current using (batch, object_no)
left join earlier_loads
    on versions.source = earlier_loads.source
    and versions.version = earlier_loads.version
    and versions.batch = earlier_loads.batch
where place = 1;

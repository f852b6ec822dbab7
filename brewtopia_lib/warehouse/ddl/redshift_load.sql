-- Make every touched branch-day anew from all raw objects that speak of it now, as duckdb_load.sql
-- does. Reads arrivals, touched, providers, lake_current and the stage tables.

create temp table incoming as
select
    providers.source,
    stage_orders.batch,
    stage_orders.basket_no as lake_basket_no,
    stage_orders.order_high,
    stage_orders.order_low,
    stage_orders.branch,
    touched.sold_on,
    stage_orders.sold_at,
    stage_orders.payment,
    stage_orders.total,
    stage_orders.total_matches
from stage_orders
inner join providers
    on providers.batch = stage_orders.batch and providers.object_no = stage_orders.object_no
inner join touched
    on touched.branch = stage_orders.branch
    and touched.sold_on = cast(stage_orders.sold_at as date);

-- an order that several objects tell of is one order
create temp table repeated as
select order_high, order_low, min(source) as source
from incoming
group by order_high, order_low
having count(*) > 1;

delete from incoming
using repeated
where repeated.order_high = incoming.order_high
    and repeated.order_low = incoming.order_low
    and repeated.source <> incoming.source;

-- one row per basket of the lake that the incoming orders name, with its number here
create temp table new_baskets as
select
    batch,
    lake_basket_no,
    row_number() over (order by batch, lake_basket_no)
    + (select coalesce(max(basket_no), 0) from basket_lines) as basket_no
from (select distinct batch, lake_basket_no from incoming) as baskets;

insert into items (
    item_no, product, size, flavour, quantity, unit_price, line_total
)
select
    (select coalesce(max(item_no), 0) from items)
    + cast(row_number() over (
        order by lake.product, lake.size, lake.flavour, lake.quantity, lake.unit_price,
            lake.line_total
    ) as integer) as item_no,
    lake.product, lake.size, lake.flavour, lake.quantity, lake.unit_price, lake.line_total
from (
    select distinct product, size, flavour, quantity, unit_price, line_total
    from stage_items
    where batch in (select batch from new_baskets)
) as lake
left join items as known
    on known.product = lake.product
    and coalesce('=' || known.size, '') = coalesce('=' || lake.size, '')
    and coalesce('=' || known.flavour, '') = coalesce('=' || lake.flavour, '')
    and known.quantity = lake.quantity
    and known.unit_price = lake.unit_price
    and known.line_total = lake.line_total
where known.item_no is null;

create temp table new_items as
select stage_items.batch, stage_items.item_no as lake_item_no, items.item_no
from stage_items
inner join items
    on items.product = stage_items.product
    and coalesce('=' || items.size, '') = coalesce('=' || stage_items.size, '')
    and coalesce('=' || items.flavour, '') = coalesce('=' || stage_items.flavour, '')
    and items.quantity = stage_items.quantity
    and items.unit_price = stage_items.unit_price
    and items.line_total = stage_items.line_total
where stage_items.batch in (select batch from new_baskets);

create temp table new_lines as
select new_baskets.basket_no, stage_lines.line_no, new_items.item_no
from stage_lines
inner join new_baskets
    on new_baskets.batch = stage_lines.batch
    and new_baskets.lake_basket_no = stage_lines.basket_no
inner join new_items
    on new_items.batch = stage_lines.batch and new_items.lake_item_no = stage_lines.item_no;

create temp table removed as
select distinct order_facts.basket_no
from order_facts
inner join touched
    on touched.branch = order_facts.branch and touched.sold_on = order_facts.sold_on;

delete from order_facts
using touched
where order_facts.branch = touched.branch and order_facts.sold_on = touched.sold_on;

delete from basket_lines
where basket_no in (select basket_no from removed)
    and basket_no not in (
        select order_facts.basket_no
        from order_facts
        inner join removed on removed.basket_no = order_facts.basket_no
    );

delete from hourly_sales
using touched
where hourly_sales.branch = touched.branch and hourly_sales.sold_on = touched.sold_on;

insert into basket_lines (basket_no, line_no, item_no)
select basket_no, line_no, item_no from new_lines;

create temp table fresh_orders as
select
    incoming.order_high, incoming.order_low, incoming.branch, incoming.sold_on, incoming.sold_at,
    incoming.payment, incoming.total, sums.lines_total, sums.line_count, sums.units,
    incoming.total_matches, new_baskets.basket_no
from incoming
inner join new_baskets
    on new_baskets.batch = incoming.batch
    and new_baskets.lake_basket_no = incoming.lake_basket_no
inner join (
    select
        new_lines.basket_no,
        cast(count(*) as integer) as line_count,
        cast(sum(items.quantity) as integer) as units,
        cast(sum(items.line_total) as decimal(12, 2)) as lines_total
    from new_lines
    inner join items on items.item_no = new_lines.item_no
    group by new_lines.basket_no
) as sums on sums.basket_no = new_baskets.basket_no;

insert into order_facts (
    order_high, order_low, branch, sold_on, sold_at, payment, total, lines_total, line_count,
    units, total_matches, basket_no
)
select
    order_high, order_low, branch, sold_on, sold_at, payment, total, lines_total, line_count,
    units, total_matches, basket_no
from fresh_orders;

insert into hourly_sales (
    branch, sold_on, hour, product, size, flavour, units, revenue
)
select
    fresh_orders.branch,
    fresh_orders.sold_on,
    cast(extract(hour from fresh_orders.sold_at) as smallint) as hour,
    items.product,
    items.size,
    items.flavour,
    cast(sum(items.quantity) as bigint) as units,
    cast(sum(items.line_total) as decimal(12, 2)) as revenue
from fresh_orders
inner join new_lines on new_lines.basket_no = fresh_orders.basket_no
inner join items on items.item_no = new_lines.item_no
group by 1, 2, 3, 4, 5, 6;

delete from rejects where source in (select source from arrivals);

insert into rejects (
    source, line_number, reason, branch, sold_on, total, row_length
)
select
    arrivals.source, stage_rejects.line_number, stage_rejects.reason, stage_rejects.branch,
    stage_rejects.sold_on, stage_rejects.total, stage_rejects.row_length
from stage_rejects
inner join arrivals
    on arrivals.batch = stage_rejects.batch and arrivals.object_no = stage_rejects.object_no;

create temp table earlier_loads as
select source, version, batch, loaded_at
from loads
where source in (select source from arrivals);

delete from loads
using load_ledger, arrivals
where load_ledger.source = loads.source
    and load_ledger.version = loads.version
    and arrivals.source = loads.source;

insert into loads (
    source, version, feed, rows, orders, lines, rejected, revenue, cleaned_at, loaded_at,
    is_current, batch
)
select
    versions.source, versions.version, versions.feed, versions.rows, versions.orders,
    versions.lines, versions.rejected, versions.revenue, versions.cleaned_at,
    coalesce(earlier_loads.loaded_at, cast(:loaded_at as timestamp)) as loaded_at,
    lake_current.source is not null as is_current,
    versions.batch
from (
    select
        load_ledger.*,
        row_number() over (
            partition by load_ledger.source, load_ledger.version
            order by load_ledger.as_of desc, load_ledger.batch desc, load_ledger.object_no
        ) as place
    from load_ledger
    inner join arrivals on arrivals.source = load_ledger.source
) as versions
left join lake_current
    on lake_current.batch = versions.batch and lake_current.object_no = versions.object_no
left join earlier_loads
    on earlier_loads.source = versions.source
    and earlier_loads.version = versions.version
    and earlier_loads.batch = versions.batch
where versions.place = 1;

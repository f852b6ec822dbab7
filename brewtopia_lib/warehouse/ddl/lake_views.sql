-- The warehouse's tables and views over a lake, row for row what a load would make of it; more of
-- these in duckdb_views.sql.
-- Reads lake_objects, lake_current, lake_orders, lake_lines, lake_items and lake_rejects.

-- one row per raw object version
create temp view loads as
with versions as (
    select
        *,
        row_number() over (
            partition by source, version order by as_of desc, batch desc, object_no
        ) as place
    from lake_objects
)
select
    versions.source, versions.version, versions.feed, versions.rows, versions.orders,
    versions.lines, versions.rejected, versions.revenue, versions.cleaned_at,
    versions.cleaned_at as loaded_at,
    lake_current.source is not null as is_current,
    versions.batch
from versions
left join lake_current using (batch, object_no)
where place = 1;

-- one row per rejected raw row of a current raw object
create temp view rejects as
select source, line_number, reason, lake_rejects.branch, sold_on, total, row_length
from lake_rejects
join lake_current using (batch, object_no);

-- one row per order that several current raw objects tell of, with the one it is counted from
create temp table repeated as
select order_high, order_low, min(source) as source
from lake_orders
join lake_current using (batch, object_no)
group by order_high, order_low
having count(*) > 1;

-- Baskets and items are numbered within their batch: with its number they are in all of the lake.
create temp table lake_batches as
select batch, row_number() over (order by batch) << 32 as first_no
from (select distinct batch from lake_objects);

-- one row per distinct item of a batch
create temp view items as
select first_no + item_no as item_no, product, size, flavour, quantity, unit_price, line_total
from lake_items
join lake_batches using (batch);

-- one row per line of a basket
create temp view basket_lines as
select first_no + basket_no as basket_no, line_no, first_no + item_no as item_no
from lake_lines
join lake_batches using (batch);

-- one row per order
create temp view order_facts as
select
    order_high, order_low, branch, sold_at, payment, total, total_matches,
    first_no + basket_no as basket_no
from lake_orders
join lake_batches using (batch)
join lake_current using (batch, object_no)
left join repeated using (order_high, order_low)
where repeated.source is null or repeated.source = lake_current.source;

-- one row per order
create temp view orders as
with sums as (
    select
        basket_no,
        cast(count(*) as integer) as line_count,
        cast(sum(quantity) as integer) as units,
        cast(sum(line_total) as decimal(12, 2)) as lines_total
    from basket_lines
    join items using (item_no)
    group by basket_no
)
select
    lpad(lower(hex(order_high)), 16, '0') || lpad(lower(hex(order_low)), 16, '0') as order_id,
    branch,
    sold_at,
    cast(sold_at as date) as sold_on,
    cast(hour(sold_at) as smallint) as hour,
    payment,
    total,
    lines_total,
    line_count,
    units,
    total_matches
from order_facts
join sums using (basket_no);

-- one row per branch x day x hour x product x size x flavour
create temp view hourly_sales as
select
    branch,
    cast(sold_at as date) as sold_on,
    cast(hour(sold_at) as smallint) as hour,
    product,
    size,
    flavour,
    cast(sum(quantity) as bigint) as units,
    cast(sum(line_total) as decimal(12, 2)) as revenue
from order_facts
join basket_lines using (basket_no)
join items using (item_no)
group by all;

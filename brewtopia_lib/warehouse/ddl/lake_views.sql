-- The warehouse's tables and views over a lake, row for row what a load would make of it.
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

-- one row per basket
create temp view basket_sums as
select
    batch,
    basket_no,
    cast(count(*) as integer) as line_count,
    cast(sum(quantity) as integer) as units,
    cast(sum(line_total) as decimal(12, 2)) as lines_total
from lake_lines
join lake_items using (batch, item_no)
group by batch, basket_no;

-- one row per order
create temp view order_facts as
select lake_orders.*
from lake_orders
join lake_current using (batch, object_no)
left join repeated
    on lake_orders.order_high = repeated.order_high and lake_orders.order_low = repeated.order_low
where repeated.source is null or repeated.source = lake_current.source;

-- one row per order
create temp view orders as
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
join basket_sums using (batch, basket_no);

-- one row per order line
create temp view sales as
select
    lpad(lower(hex(order_high)), 16, '0') || lpad(lower(hex(order_low)), 16, '0') as order_id,
    line_no,
    branch,
    sold_at,
    cast(sold_at as date) as sold_on,
    cast(hour(sold_at) as smallint) as hour,
    product,
    size,
    flavour,
    quantity,
    unit_price,
    line_total,
    payment
from order_facts
join lake_lines using (batch, basket_no)
join lake_items using (batch, item_no);

-- one row per branch x day x hour x product x size x flavour
create temp view hourly_sales as
select
    branch, sold_on, hour, product, size, flavour,
    cast(sum(quantity) as bigint) as units,
    cast(sum(line_total) as decimal(12, 2)) as revenue
from sales
group by all;

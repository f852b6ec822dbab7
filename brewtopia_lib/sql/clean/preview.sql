-- What was cleaned, as the warehouse's orders, sales and rejects will show it.
create or replace temp view preview_orders as
select
    lpad(lower(hex(order_high)), 16, '0') || lpad(lower(hex(order_low)), 16, '0') as order_id,
    cast(branch as varchar) as branch,
    sold_at,
    cast(sold_at as date) as sold_on,
    cast(hour(sold_at) as smallint) as hour,
    cast(payment as varchar) as payment,
    total,
    lines_total,
    line_count,
    units,
    total_matches
from clean_orders
join baskets using (basket_no)
order by object_no, sold_at, order_id;

create or replace temp view preview_sales as
select
    lpad(lower(hex(order_high)), 16, '0') || lpad(lower(hex(order_low)), 16, '0') as order_id,
    line_no,
    cast(branch as varchar) as branch,
    sold_at,
    cast(sold_at as date) as sold_on,
    cast(hour(sold_at) as smallint) as hour,
    product,
    size,
    flavour,
    quantity,
    unit_price,
    line_total,
    cast(payment as varchar) as payment
from clean_orders
join clean_lines using (basket_no)
join clean_items using (item_no)
order by object_no, sold_at, order_id, line_no;

create or replace temp view preview_rejects as
select
    source, line_number, reason, cast(branch as varchar) as branch, sold_on, total, row_length
from clean_rejects
join sources using (object_no)
order by source, line_number;

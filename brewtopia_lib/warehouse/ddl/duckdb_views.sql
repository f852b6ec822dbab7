-- The views that a DuckDB warehouse and a lake have alike.
-- Reads order_facts, basket_lines and items.

-- one row per order, with the basket it holds
create view order_baskets as
select
    lpad(lower(hex(order_high)), 16, '0') || lpad(lower(hex(order_low)), 16, '0') as order_id,
    branch,
    cast(sold_at as date) as sold_on,
    basket_no
from order_facts;

-- one row per order line
create view sales as
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
join basket_lines using (basket_no)
join items using (item_no);

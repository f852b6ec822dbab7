-- Which basket an order holds, so that many equal ones can be looked at once.

-- one row per order, with the basket it holds
create view order_baskets as
select
    lpad(to_hex(order_high), 16, '0') || lpad(to_hex(order_low), 16, '0') as order_id,
    branch,
    sold_on,
    basket_no
from order_facts;

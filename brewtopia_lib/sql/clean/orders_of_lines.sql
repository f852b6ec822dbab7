-- One row per order; for feeds with one row per order line. Reads kept and baskets.
create or replace temp table parsed as
with orders as (
    select
        basket_no, object_no, branch, "order",
        min(row_no) as row_no,
        min(sold_at) as sold_at,
        coalesce(max(case when payment <> 'UNKNOWN' then payment end), 'UNKNOWN') as payment,
        arg_min(till_total, row_no) as till_total,
        bool_and(is_absent) as is_absent
    from kept
    group by basket_no, object_no, branch, "order"
)
select
    orders.row_no, orders.object_no, orders.branch, orders.sold_at, orders.payment,
    orders.basket_no, line_count,
    coalesce(till_total, lines_total) as total,
    coalesce(till_total = lines_total, orders.is_absent) as total_matches,
    xor(
        xor(branch_marks.high, payment_marks.high),
        xor(xor(total_marks.high, order_marks.high), xor(baskets.high, epoch_us(sold_at)))
    ) as order_high,
    xor(
        xor(branch_marks.low, payment_marks.low),
        xor(xor(total_marks.low, order_marks.low), xor(baskets.low, epoch_us(sold_at)))
    ) as order_low
from orders
join baskets using (basket_no)
join (select distinct branch, high, low from branches) as branch_marks
    on orders.branch = branch_marks.branch
join (select distinct payment, high, low from payments) as payment_marks
    on orders.payment = payment_marks.payment
join (select distinct total, high, low from totals) as total_marks
    on orders.till_total is not distinct from total_marks.total
join (select distinct "order", high, low from order_texts) as order_marks
    on orders."order" = order_marks."order";

-- One row per order; for feeds with one row per order line. Reads kept and basket_sums.
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
    row_no, object_no, branch, sold_at, payment, basket_no,
    coalesce(till_total, lines_total) as total,
    coalesce(till_total = lines_total, is_absent) as total_matches,
    md5_number(concat_ws(
        chr(31), epoch_ms(sold_at), till_total, payment, digest, branch, "order"
    )) as order_number
from orders
join basket_sums using (basket_no);

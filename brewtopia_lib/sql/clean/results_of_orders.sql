-- One row per order kept, and per row rejected after parsing; for one row per order.
create or replace temp view clean_orders as
select
    parsed.object_no,
    parsed.order_high,
    xor(parsed.order_low, coalesce(repeats.ordinal - 1, 0)) as order_low,
    parsed.branch, parsed.sold_at, parsed.payment, parsed.total, parsed.total_matches,
    parsed.basket_no
from parsed
left join repeats using (row_no)
where parsed.reason is null and not coalesce(repeats.is_copy, false);

create or replace temp view rejected_rows as
select
    parsed.row_no, parsed.object_no, parsed.line_number,
    case when repeats.is_copy then 'duplicate_row' else parsed.reason end as reason,
    parsed.branch, parsed.sold_at, parsed.till_total
from parsed
left join repeats using (row_no)
where parsed.reason is not null or repeats.is_copy;

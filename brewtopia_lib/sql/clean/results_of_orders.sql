-- One row per order kept, and per row rejected after parsing; for one row per order.
create or replace temp view clean_orders as
with kept as (
    select
        parsed.*,
        case
            when coalesce(repeats.ordinal, 1) = 1 then parsed.content
            else md5_number(concat_ws(chr(31), parsed.content, repeats.ordinal))
        end as order_number
    from parsed
    left join repeats using (row_no)
    where parsed.reason is null and not coalesce(repeats.is_copy, false)
)
select
    object_no,
    cast(order_number >> 65 as bigint) as order_high,
    cast(order_number & 9223372036854775807 as bigint) as order_low,
    branch, sold_at, payment, total, total_matches, basket_no
from kept;

create or replace temp view rejected_rows as
select
    parsed.row_no, parsed.object_no, parsed.line_number,
    case when repeats.is_copy then 'duplicate_row' else parsed.reason end as reason,
    parsed.branch, parsed.sold_at, parsed.till_total
from parsed
left join repeats using (row_no)
where parsed.reason is not null or repeats.is_copy;

-- One row per order kept, and per row rejected after parsing; for one row per order line.
create or replace temp view kept_orders as
select
    object_no, order_high, order_low, branch, sold_at, payment, total, total_matches, basket_no,
    line_count
from parsed;

create or replace temp view rejected_rows as
select
    filled.row_no, filled.object_no, filled.line_number,
    case
        when repeats.is_copy then 'duplicate_row'
        when filled.reason = 'no_items' and filled.row_no in (select head_no from kept)
            then 'order_row'
        else coalesce(filled.reason, 'orphan_row')
    end as reason,
    filled.branch, filled.sold_at, items.line_total as till_total
from filled
left join items using (item_no)
left join repeats using (row_no)
where filled.reason is not null or repeats.row_no is not null;

-- One row per order kept, and per row rejected after parsing; for one row per order.
create or replace temp view kept_orders as
select
    parsed.object_no,
    parsed.order_high,
    xor(parsed.order_low, coalesce(repeats.ordinal - 1, 0)) as order_low,
    parsed.branch, parsed.sold_at, parsed.payment, parsed.total, parsed.total_matches,
    parsed.basket_no, parsed.line_count
from parsed
left join repeats using (row_no)
where parsed.reason is null and not coalesce(repeats.is_copy, false);

create or replace temp view rejected_rows as
with rejected as (
    select
        row_no, case when repeats.is_copy then 'duplicate_row' else parsed.reason end as reason,
        branch
    from parsed
    left join repeats using (row_no)
    where parsed.reason is not null or repeats.is_copy
)
select
    row_no, raw.object_no, raw.line_number, reason, rejected.branch, raw.sold_at,
    totals.total as till_total
from rejected
join raw on rejected.row_no = raw.rowid
join terms_texts on raw.terms_key = terms_texts.key
join totals on terms_texts.total = totals.text;

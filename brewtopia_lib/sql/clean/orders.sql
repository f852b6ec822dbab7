-- One row per raw row, for feeds with one row per order.
-- Reads raw, the texts and the value tables; every distinct text has been parsed once before.
-- An order's number is made of the marks of all that it says, in two halves: see cleaning.

create or replace temp table parsed as
with named_branches as (
    select key, branches.branch, high, low
    from branch_texts
    join branches using (object_no, text)
),
tenders as (
    select
        key, payments.payment, totals.total, is_absent,
        xor(payments.high, totals.high) as high,
        xor(payments.low, totals.low) as low
    from tender_texts
    join payments on tender_texts.payment = payments.text
    join totals on tender_texts.total = totals.text
)
select
    raw.rowid as row_no,
    raw.object_no,
    raw.sold_at,
    named_branches.branch,
    tenders.payment,
    baskets.basket_no,
    line_count,
    coalesce(tenders.total, lines_total) as total,
    coalesce(tenders.total = lines_total, is_absent) as total_matches,
    xor(
        xor(named_branches.high, tenders.high), xor(baskets.high, epoch_us(sold_at))
    ) as order_high,
    xor(
        xor(named_branches.low, tenders.low), xor(baskets.low, epoch_us(sold_at))
    ) as order_low,
    case
        when sold_at is null then 'bad_timestamp'
        when named_branches.branch is null then 'no_branch'
        when problem is not null then problem
        when is_doubtful and tenders.total <> lines_total then 'bad_items'
    end as reason
from raw
join named_branches on raw.branch_key = named_branches.key
join tenders on raw.tender_key = tenders.key
join baskets on raw.items_key = baskets.key;

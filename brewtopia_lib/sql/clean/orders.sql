-- One row per raw row, for feeds with one row per order.
-- Reads raw, the texts and the value tables; every distinct text has been parsed once before.
-- An order's number is made of the marks of all that it says, in two halves: see cleaning.

create or replace temp table parsed as
with terms as (
    select
        key, branches.branch, payments.payment, totals.total, is_absent,
        xor(branches.high, xor(payments.high, totals.high)) as high,
        xor(branches.low, xor(payments.low, totals.low)) as low
    from terms_texts
    join branches on terms_texts.branch = branches.text
    join payments on terms_texts.payment = payments.text
    join totals on terms_texts.total = totals.text
)
select
    raw.rowid as row_no,
    raw.object_no,
    raw.sold_at,
    terms.branch,
    terms.payment,
    baskets.basket_no,
    line_count,
    coalesce(terms.total, lines_total) as total,
    coalesce(terms.total = lines_total, is_absent) as total_matches,
    xor(xor(terms.high, baskets.high), epoch_us(sold_at)) as order_high,
    xor(xor(terms.low, baskets.low), epoch_us(sold_at)) as order_low,
    case
        when sold_at is null then 'bad_timestamp'
        when terms.branch is null then 'no_branch'
        when problem is not null then problem
        when is_doubtful and terms.total <> lines_total then 'bad_items'
    end as reason
from raw
join terms on raw.terms_key = terms.key
join baskets on raw.items_key = baskets.key;

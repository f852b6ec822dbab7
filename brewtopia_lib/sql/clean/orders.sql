-- One row per raw row (parsed), then per order (repeats); for feeds with one row per order.
-- Reads raw, object and the value tables; every distinct text has been parsed once before.

create or replace temp table parsed as
select
    raw.rowid as row_no,
    raw.object_no,
    raw.line_number,
    raw.row_hash,
    times.sold_at,
    coalesce(object.branch, branches.branch) as branch,
    payments.payment,
    totals.total as till_total,
    coalesce(totals.total, baskets.lines_total) as total,
    baskets.lines_total,
    baskets.basket_no,
    coalesce(totals.total = baskets.lines_total, totals.is_absent) as total_matches,
    case
        when times.sold_at is null then 'bad_timestamp'
        when coalesce(object.branch, branches.branch) is null then 'no_branch'
        when baskets.problem is not null then baskets.problem
        when baskets.is_joined and totals.total <> baskets.lines_total then 'bad_items'
    end as reason,
    md5(concat_ws(
        chr(31), epoch_ms(times.sold_at), totals.total, payments.payment, baskets.basket_id,
        coalesce(object.branch, branches.branch)
    )) as content
from raw
join object using (object_no)
left join times on raw.sold_at = times.text
left join branches on raw.branch = branches.text
left join payments on raw.payment = payments.text
left join totals on raw.total = totals.text
left join baskets on raw.items = baskets.text;

-- rows that look like another of their object: copies of a row, and equal orders told apart
create or replace temp table repeats as
with suspects as (
    select object_no, content, null as row_hash from parsed
    where reason is null group by object_no, content having count(*) > 1
),
rejected_suspects as (
    select object_no, row_hash from parsed
    where reason is not null group by object_no, row_hash having count(*) > 1
),
copies as (
    select
        row_no, object_no, content, reason,
        row_number() over (partition by object_no, content, row_hash order by row_no) as copy
    from parsed
    where reason is null and (object_no, content) in (select object_no, content from suspects)
),
rejected_copies as (
    select
        row_no,
        row_number() over (partition by object_no, row_hash order by row_no) as copy
    from parsed
    where reason is not null
        and (object_no, row_hash) in (select object_no, row_hash from rejected_suspects)
)
select row_no, true as is_copy, null as ordinal from copies where copy > 1
union all
select row_no, false, row_number() over (partition by object_no, content order by row_no)
from copies where copy = 1
union all
select row_no, true, null from rejected_copies where copy > 1;

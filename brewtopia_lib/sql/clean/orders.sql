-- One row per raw row (parsed), then per order (repeats); for feeds with one row per order.
-- Reads raw, object and the value tables; every distinct text has been parsed once before.

create or replace temp table parsed as
with doubtful_baskets as (
    -- what holds together only where an item's name takes in a separator: the total must agree
    select distinct basket_no
    from joined_lines
    join items using (item_no)
    where contains(concat_ws(' ', size, product, flavour), trim(getvariable('separator')))
),
joined as (
    select
        raw.rowid as row_no,
        raw.object_no,
        raw.line_number,
        raw.row_hash,
        raw.sold_at,
        coalesce(object.branch, branches.branch) as branch,
        payments.payment,
        totals.total as till_total,
        totals.is_absent,
        basket_texts.basket_no,
        basket_sums.lines_total,
        basket_sums.digest,
        case
            when basket_sums.basket_no is null then coalesce(basket_problems.problem, 'no_items')
        end as problem,
        doubtful_baskets.basket_no is not null as is_doubtful
    from raw
    join object using (object_no)
    left join branches on raw.branch = branches.text
    left join payments on raw.payment = payments.text
    left join totals on raw.total = totals.text
    left join basket_texts on raw.items = basket_texts.text
    left join basket_sums on basket_texts.basket_no = basket_sums.basket_no
    left join basket_problems on basket_texts.basket_no = basket_problems.basket_no
    left join doubtful_baskets on basket_texts.basket_no = doubtful_baskets.basket_no
)
select
    * exclude (lines_total, is_absent, digest, problem, is_doubtful),
    coalesce(till_total, lines_total) as total,
    coalesce(till_total = lines_total, is_absent) as total_matches,
    case
        when sold_at is null then 'bad_timestamp'
        when branch is null then 'no_branch'
        when problem is not null then problem
        when is_doubtful and till_total <> lines_total then 'bad_items'
    end as reason,
    md5_number(concat_ws(
        chr(31), epoch_ms(sold_at), till_total, payment, digest, branch
    )) as content
from joined;

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

-- One row per raw row (filled), and per line of each order (kept); for feeds with one row per order line.
-- Reads raw, broken, object and the value tables; every distinct text has been parsed once before.

-- a continuation row takes what it leaves blank from the row its order began with; a broken row
-- between them may have begun another order, so nothing is taken across it
create or replace temp table filled as
with rows as (
    select
        raw.rowid as row_no, object_no, coalesce(line_number, raw.rowid) as place, line_number, row_hash,
        order_texts.text is not null as is_head,
        order_texts."order", sold_at, branch, payment, total,
        product, size, flavour, unit_price, quantity, line_total
    from raw
    left join order_texts on raw."order" = order_texts.text
),
placed as (
    select object_no, place, row_no, is_head from rows
    union all
    select object_no, line_number, -1, true from broken
),
heads as (
    select
        row_no,
        case
            when is_head or not getvariable('continuation') then row_no
            else last_value(case when is_head then row_no end ignore nulls) over (
                partition by object_no order by place
                rows between unbounded preceding and current row
            )
        end as head_no
    from placed
)
select
    rows.row_no,
    rows.object_no,
    rows.line_number,
    rows.row_hash,
    heads.head_no,
    head."order",
    coalesce(rows.sold_at, head.sold_at) as sold_at,
    coalesce(own_branches.branch, head_branches.branch) as branch,
    case when own_payments.payment = 'UNKNOWN' then head_payments.payment
         else own_payments.payment end as payment,
    coalesce(own_totals.total, head_totals.total) as till_total,
    head_totals.is_absent,
    item_texts.item_no,
    case
        when heads.head_no is null or heads.head_no = -1 then 'orphan_row'
        when not head.is_head then 'no_order'
        when coalesce(rows.sold_at, head.sold_at) is null then 'bad_timestamp'
        when coalesce(own_branches.branch, head_branches.branch) is null
            then 'no_branch'
        else item_texts.problem
    end as reason
from rows
join heads using (row_no)
left join rows as head on heads.head_no = head.row_no
left join branches as own_branches on rows.branch = own_branches.text
left join branches as head_branches on head.branch = head_branches.text
left join payments as own_payments on rows.payment = own_payments.text
left join payments as head_payments on head.payment = head_payments.text
left join totals as own_totals on rows.total = own_totals.text
left join totals as head_totals on head.total = head_totals.text
left join item_texts
    on rows.product = product_text
    and rows.size = size_text
    and rows.flavour = flavour_text
    and rows.unit_price = unit_price_text
    and rows.quantity = quantity_text
    and rows.line_total = line_total_text;

-- rows that begin an order and repeat another row of their object, and what goes on with them: a
-- copy too, unless the order that is repeated has no such row
create or replace temp table repeats as
with suspects as (
    select object_no, row_hash from filled group by object_no, row_hash having count(*) > 1
),
heads as (
    select
        row_no, object_no, row_hash,
        row_number() over (partition by object_no, row_hash order by row_no) as copy
    from filled
    where head_no = row_no and (object_no, row_hash) in (select object_no, row_hash from suspects)
),
repeated as (
    select distinct heads.object_no, heads.row_hash as head_hash, filled.row_hash
    from filled
    join heads on filled.head_no = heads.row_no
    where copy = 1
)
select filled.row_no, repeated.row_hash is not null as is_copy
from filled
join heads on filled.head_no = heads.row_no
left join repeated
    on heads.object_no = repeated.object_no
    and heads.row_hash = repeated.head_hash
    and filled.row_hash = repeated.row_hash
where copy > 1;

-- an id is used again on other days, but an order may last past midnight: it is another one on
-- another day only after hours without a row
create or replace temp table kept as
with good as (
    select * from filled
    where reason is null and row_no not in (select row_no from repeats)
),
several_days as (
    select object_no, branch, "order"
    from good
    group by object_no, branch, "order"
    having cast(min(sold_at) as date) < cast(max(sold_at) as date)
),
followed as (
    select
        row_no, object_no, branch, "order", sold_at,
        lag(sold_at) over (partition by object_no, branch, "order" order by sold_at) as sold_before
    from good
    semi join several_days using (object_no, branch, "order")
),
begun as (
    select
        row_no,
        max(
            case
                when sold_before is null
                    or (cast(sold_before as date) < cast(sold_at as date)
                        and sold_before + interval 6 hours < sold_at)
                then cast(sold_at as date)
            end
        ) over (
            partition by object_no, branch, "order" order by sold_at
            range between unbounded preceding and current row
        ) as first_day
    from followed
)
select
    good.*,
    dense_rank() over (
        order by object_no, branch, coalesce(first_day, cast(sold_at as date)), "order"
    ) as basket_no
from good
left join begun using (row_no);

-- One row per object: its rows, what became of them, and whether every one is accounted for.
with row_counts as (
    select object_no, count(*) as rows
    from (select object_no from raw union all select object_no from broken)
    group by object_no
),
order_counts as (
    select
        object_no,
        count(*) as orders,
        cast(sum(line_count) as bigint) as lines,
        cast(sum(total) as decimal(14, 2)) as revenue
    from kept_orders
    group by object_no
),
reject_counts as (
    select object_no, count(*) as rejected from clean_rejects group by object_no
)
select
    object.object_no,
    coalesce(rows, 0) as rows,
    coalesce(orders, 0) as orders,
    coalesce(lines, 0) as lines,
    coalesce(rejected, 0) as rejected,
    coalesce(revenue, 0) as revenue,
    coalesce(rows, 0) = coalesce(rejected, 0) + coalesce(
        case when getvariable('per_line') then lines else orders end, 0
    ) as accounted
from object
left join row_counts using (object_no)
left join order_counts using (object_no)
left join reject_counts using (object_no)
order by object_no;

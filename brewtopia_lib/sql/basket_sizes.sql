-- one row per items
-- 7 stands for seven or more; an order without a single item sold has no size.
with
sold as (
    select
        least(units, 7) as items,
        count(*) as orders,
        sum(total) as revenue
    from orders
    where sold_on > cast(:until as date) - 7 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and units > 0
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by 1
),

final as (
    select
        items,
        orders,
        cast(orders as double precision) / sum(orders) over () as order_share,
        revenue
    from sold
)

select * from final
order by items

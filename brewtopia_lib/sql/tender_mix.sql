-- one row per payment
with
sold as (
    select
        payment,
        sold_on > cast(:until as date) - 7 * cast(:weeks as integer) as in_period,
        count(*) as orders,
        sum(total) as revenue
    from orders
    where sold_on > cast(:until as date) - 14 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by 1, 2
),

history as (
    select min(sold_on) as first_day
    from orders
    where cast(:branch as varchar) is null or branch = cast(:branch as varchar)
),

payments as (
    select
        sold.payment,
        history.first_day <= cast(:until as date) - 14 * cast(:weeks as integer) + 1
            as reaches_back,
        sum(case when sold.in_period then sold.orders else 0 end) as orders,
        sum(case when sold.in_period then sold.revenue else 0 end) as revenue,
        sum(case when not sold.in_period then sold.orders else 0 end) as orders_before,
        sum(case when not sold.in_period then sold.revenue else 0 end) as revenue_before
    from sold
    cross join history
    group by sold.payment, history.first_day
),

final as (
    select
        payment,
        cast(orders as bigint) as orders,
        revenue,
        cast(orders as double precision) / nullif(sum(orders) over (), 0) as order_share,
        cast(revenue as double precision) / nullif(sum(revenue) over (), 0) as revenue_share,
        case when reaches_back then revenue_before end as revenue_before,
        case when reaches_back then
            cast(orders_before as double precision) / nullif(sum(orders_before) over (), 0)
        end as order_share_before
    from payments
)

select * from final
order by orders desc nulls last, payment

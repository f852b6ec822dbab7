-- one row per size
-- Only products that sell in more than one size over both periods.
with
sold as (
    select
        product,
        size,
        sold_on > cast(:until as date) - 7 * cast(:weeks as integer) as in_period,
        sum(units) as units,
        sum(revenue) as revenue
    from hourly_sales
    where sold_on > cast(:until as date) - 14 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and size is not null
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by 1, 2, 3
),

sized as (
    select product
    from sold
    group by product
    having count(distinct size) > 1
),

history as (
    select min(sold_on) as first_day
    from orders
    where cast(:branch as varchar) is null or branch = cast(:branch as varchar)
),

sizes as (
    select
        sold.size,
        sum(case when sold.in_period then sold.units else 0 end) as units,
        sum(case when sold.in_period then sold.revenue else 0 end) as revenue,
        sum(case when not sold.in_period then sold.units else 0 end) as units_before
    from sold
    inner join sized on sized.product = sold.product
    group by sold.size
),

final as (
    select
        sizes.size,
        cast(sizes.units as bigint) as units,
        sizes.revenue,
        cast(sizes.units as double precision) / nullif(sum(sizes.units) over (), 0) as unit_share,
        case
            when history.first_day <= cast(:until as date) - 14 * cast(:weeks as integer) + 1 then
                cast(sizes.units_before as double precision)
                / nullif(sum(sizes.units_before) over (), 0)
        end as unit_share_before
    from sizes
    cross join history
)

select * from final
order by units desc nulls last, size

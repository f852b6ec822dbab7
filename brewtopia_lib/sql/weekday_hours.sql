-- one row per weekday, hour
-- Averages over the branch-days that traded on that weekday: what one branch takes in an hour.
with
hours as (
    select
        branch,
        sold_on,
        mod(cast(extract(dow from sold_on) as integer) + 6, 7) + 1 as weekday,
        hour,
        count(*) as orders,
        sum(total) as revenue
    from orders
    where sold_on > cast(:until as date) - 7 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by branch, sold_on, hour
),

weekdays as (
    select weekday, count(*) as days
    from (select distinct branch, sold_on, weekday from hours) as branch_days
    group by weekday
),

final as (
    select
        hours.weekday,
        hours.hour,
        cast(sum(hours.revenue) as double precision) / weekdays.days as revenue_per_hour,
        cast(sum(hours.orders) as double precision) / weekdays.days as orders_per_hour,
        weekdays.days
    from hours
    inner join weekdays on weekdays.weekday = hours.weekday
    group by hours.weekday, hours.hour, weekdays.days
)

select * from final
order by weekday, hour

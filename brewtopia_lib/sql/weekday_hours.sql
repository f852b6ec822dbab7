-- one row per weekday, hour
-- Averages over the branch-days that traded on that weekday, of the branches that sold something in
-- that hour of that weekday in the period: what one branch takes in an hour in which it is open.
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

branch_weekdays as (
    select branch, weekday, count(distinct sold_on) as days
    from hours
    group by branch, weekday
),

branch_hours as (
    select branch, weekday, hour, sum(orders) as orders, sum(revenue) as revenue
    from hours
    group by branch, weekday, hour
),

week_hours as (
    select
        branch_hours.weekday,
        branch_hours.hour,
        cast(sum(branch_hours.revenue) as double precision) / sum(branch_weekdays.days)
            as revenue_per_hour,
        cast(sum(branch_hours.orders) as double precision) / sum(branch_weekdays.days)
            as orders_per_hour,
        cast(sum(branch_weekdays.days) as bigint) as days
    from branch_hours
    inner join branch_weekdays
        on branch_weekdays.branch = branch_hours.branch
        and branch_weekdays.weekday = branch_hours.weekday
    group by branch_hours.weekday, branch_hours.hour
),

final as (
    select
        week_hours.*,
        2 * days >= max(days) over (partition by weekday) as mostly_open
    from week_hours
)

select * from final
order by weekday, hour

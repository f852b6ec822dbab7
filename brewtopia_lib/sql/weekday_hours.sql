-- one row per weekday, hour
-- What all branches take together: the sum of each branch's own average over the days on which it
-- traded, so that a lost file does not tilt its weekday. A branch that traded on fewer than half of
-- the days of another is left out, because it would lift the few weekdays it has.
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

branch_days as (
    select branch, count(distinct sold_on) as days
    from hours
    group by branch
),

counted as (
    select branch
    from branch_days
    where 2 * days >= (select max(days) from branch_days)
),

branch_weekdays as (
    select branch, weekday, count(distinct sold_on) as days
    from hours
    where branch in (select branch from counted)
    group by branch, weekday
),

branch_hours as (
    select branch, weekday, hour, sum(orders) as orders, sum(revenue) as revenue
    from hours
    group by branch, weekday, hour
),

-- In decimals, whose sum is the same in whatever order.
averages as (
    select
        branch_hours.weekday,
        branch_hours.hour,
        branch_weekdays.days,
        cast(
            cast(branch_hours.revenue as double precision) / branch_weekdays.days
            as decimal(18, 8)
        ) as revenue,
        cast(
            cast(branch_hours.orders as double precision) / branch_weekdays.days
            as decimal(18, 8)
        ) as orders
    from branch_hours
    inner join branch_weekdays
        on branch_weekdays.branch = branch_hours.branch
        and branch_weekdays.weekday = branch_hours.weekday
),

final as (
    select
        weekday,
        hour,
        sum(revenue) as revenue_per_hour,
        sum(orders) as orders_per_hour,
        cast(sum(days) as bigint) as days,
        count(*) as branches
    from averages
    group by weekday, hour
)

select * from final
order by weekday, hour

-- one row per day_part
-- The change adds up only branch-days that traded in both periods, at branches whose data reach
-- back to the start of the period before.
with
history as (
    select
        branch,
        min(sold_on) <= cast(:until as date) - 14 * cast(:weeks as integer) + 1 as reaches_back
    from orders
    where cast(:branch as varchar) is null or branch = cast(:branch as varchar)
    group by branch
),

sold as (
    select
        branch,
        case
            when sold_on > cast(:until as date) - 7 * cast(:weeks as integer) then sold_on
            else sold_on + 7 * cast(:weeks as integer)
        end as aligned_on,
        sold_on > cast(:until as date) - 7 * cast(:weeks as integer) as in_period,
        case
            when hour < 11 then 'Morning'
            when hour < 14 then 'Midday'
            when hour < 17 then 'Afternoon'
            else 'Evening'
        end as day_part,
        count(*) as orders,
        sum(total) as revenue
    from orders
    where sold_on > cast(:until as date) - 14 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by 1, 2, 3, 4
),

branch_days as (
    select distinct branch, aligned_on, in_period
    from sold
),

comparable_days as (
    select branch_days.branch, branch_days.aligned_on
    from branch_days
    inner join history on history.branch = branch_days.branch and history.reaches_back
    group by branch_days.branch, branch_days.aligned_on
    having count(*) = 2
),

parts as (
    select
        sold.day_part,
        sum(case when sold.in_period then sold.revenue else 0 end) as revenue,
        sum(case when sold.in_period then sold.orders else 0 end) as orders,
        sum(case when not sold.in_period then sold.revenue else 0 end) as revenue_before,
        sum(case
            when sold.in_period and comparable_days.branch is not null then sold.revenue else 0
        end) as revenue_comparable,
        sum(case
            when not sold.in_period and comparable_days.branch is not null then sold.revenue else 0
        end) as revenue_comparable_before
    from sold
    left join comparable_days
        on comparable_days.branch = sold.branch
        and comparable_days.aligned_on = sold.aligned_on
    group by sold.day_part
),

covered as (
    select *
    from parts
    cross join (
        select max(case when reaches_back then 1 else 0 end) as has_before
        from history
    ) as chain
),

final as (
    select
        day_part,
        revenue,
        cast(orders as bigint) as orders,
        cast(revenue as double precision) / nullif(sum(revenue) over (), 0) as share,
        case when has_before = 1 then revenue_before end as revenue_before,
        case when has_before = 1 then
            cast(revenue_before as double precision) / nullif(sum(revenue_before) over (), 0)
        end as share_before,
        case when revenue_comparable_before > 0 then
            cast(revenue_comparable - revenue_comparable_before as double precision)
            / revenue_comparable_before
        end as change
    from covered
)

select * from final
order by
    case day_part when 'Morning' then 1 when 'Midday' then 2 when 'Afternoon' then 3 else 4 end,
    day_part

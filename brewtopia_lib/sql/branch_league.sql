-- one row per branch
-- Ranks are among all branches, whichever one is asked for. The change adds up only days on
-- which the branch traded in both periods, where its data reach back far enough.
with
branch_days as (
    select
        branch,
        sold_on,
        count(*) as orders,
        sum(total) as revenue
    from orders
    where sold_on > cast(:until as date) - 14 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
    group by branch, sold_on
),

history as (
    select
        branch,
        min(sold_on) <= cast(:until as date) - 14 * cast(:weeks as integer) + 1 as reaches_back
    from orders
    group by branch
),

aligned as (
    select
        branch,
        aligned_on,
        sum(case when in_period then orders else 0 end) as orders,
        sum(case when in_period then revenue else 0 end) as revenue,
        sum(case when not in_period then revenue else 0 end) as revenue_before,
        sum(case when in_period then 1 else 0 end) as days_traded,
        sum(case when not in_period then 1 else 0 end) as days_traded_before
    from (
        select
            branch,
            orders,
            revenue,
            sold_on > cast(:until as date) - 7 * cast(:weeks as integer) as in_period,
            case
                when sold_on > cast(:until as date) - 7 * cast(:weeks as integer) then sold_on
                else sold_on + 7 * cast(:weeks as integer)
            end as aligned_on
        from branch_days
    ) as placed
    group by branch, aligned_on
),

branches as (
    select
        aligned.branch,
        history.reaches_back,
        sum(aligned.orders) as orders,
        sum(aligned.revenue) as revenue,
        sum(aligned.revenue_before) as revenue_before,
        sum(aligned.days_traded) as days_traded,
        sum(aligned.days_traded_before) as days_traded_before,
        sum(case
            when aligned.days_traded + aligned.days_traded_before = 2 then aligned.revenue else 0
        end) as revenue_comparable,
        sum(case
            when aligned.days_traded + aligned.days_traded_before = 2
                then aligned.revenue_before else 0
        end) as revenue_comparable_before
    from aligned
    inner join history on history.branch = aligned.branch
    group by aligned.branch, history.reaches_back
),

compared as (
    select
        *,
        case when reaches_back and revenue_comparable_before > 0 then
            cast(revenue_comparable - revenue_comparable_before as double precision)
            / revenue_comparable_before
        end as change
    from branches
),

ranked as (
    select
        branch,
        revenue,
        cast(orders as bigint) as orders,
        cast(revenue as double precision) / nullif(orders, 0) as average_basket,
        case when reaches_back then revenue_before end as revenue_before,
        change,
        row_number() over (order by revenue desc nulls last, branch) as revenue_rank,
        case when change is not null then
            row_number() over (order by change desc nulls last, branch)
        end as change_rank,
        cast(days_traded as bigint) as days_traded,
        cast(days_traded_before as bigint) as days_traded_before,
        reaches_back and days_traded = days_traded_before as comparable
    from compared
),

final as (
    select *
    from ranked
    where cast(:branch as varchar) is null or branch = cast(:branch as varchar)
)

select * from final
order by revenue_rank, branch

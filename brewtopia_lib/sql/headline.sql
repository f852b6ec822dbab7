-- one row
-- The period, the period before and the same weekdays 364 days earlier. The values of a window
-- that starts before the first day with data are null, but not its counts of days and branches.
-- The comparable columns add up only branch-days that traded in both periods, at
-- branches whose data reach back to the start of the earlier one.
with
branch_days as (
    select
        branch,
        sold_on,
        count(*) as orders,
        sum(units) as items,
        sum(total) as revenue
    from orders
    where sold_on > cast(:until as date) - 364 - 14 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by branch, sold_on
),

history as (
    select branch, min(sold_on) as first_day
    from orders
    where cast(:branch as varchar) is null or branch = cast(:branch as varchar)
    group by branch
),

windows as (
    select
        name,
        days_earlier,
        cast(:until as date) - days_earlier - 7 * cast(:weeks as integer) + 1 as first_day,
        cast(:until as date) - days_earlier as last_day
    from (
        select 'period' as name, 0 as days_earlier
        union all
        select 'before', 7 * cast(:weeks as integer)
        union all
        select 'last_year', 364
    ) as shifts
),

levels as (
    select
        windows.name,
        windows.name = 'period' or windows.first_day >= (select min(first_day) from history)
            as is_covered,
        sum(branch_days.revenue) as revenue,
        sum(branch_days.orders) as orders,
        sum(branch_days.items) as items,
        count(*) as days_traded,
        count(distinct branch_days.branch) as branches
    from windows
    inner join branch_days
        on branch_days.sold_on between windows.first_day and windows.last_day
    group by windows.name, windows.first_day
),

comparable as (
    select
        windows.name,
        count(distinct today.branch) as branches,
        count(*) as days,
        sum(today.revenue) as revenue,
        sum(earlier.revenue) as revenue_before,
        sum(today.orders) as orders,
        sum(earlier.orders) as orders_before,
        sum(today.items) as items,
        sum(earlier.items) as items_before
    from windows
    inner join branch_days as today
        on today.sold_on > cast(:until as date) - 7 * cast(:weeks as integer)
    inner join branch_days as earlier
        on earlier.branch = today.branch
        and earlier.sold_on = today.sold_on - windows.days_earlier
    inner join history
        on history.branch = today.branch
        and history.first_day <= windows.first_day
    where windows.name <> 'period'
    group by windows.name
),

ratios as (
    select
        windows.name,
        case when levels.is_covered then levels.revenue end as revenue,
        case when levels.is_covered then levels.orders end as orders,
        case when levels.is_covered then levels.items end as items,
        case when levels.is_covered then
            cast(levels.revenue as double precision) / levels.orders
        end as average_basket,
        case when levels.is_covered then
            cast(levels.items as double precision) / levels.orders
        end as items_per_order,
        levels.days_traded,
        levels.branches,
        comparable.branches as comparable_branches,
        comparable.days as comparable_days,
        comparable.revenue as revenue_comparable,
        comparable.revenue_before as revenue_comparable_before,
        comparable.orders as orders_comparable,
        comparable.orders_before as orders_comparable_before,
        comparable.items as items_comparable,
        comparable.items_before as items_comparable_before,
        case when comparable.revenue_before > 0 then
            cast(comparable.revenue - comparable.revenue_before as double precision)
            / comparable.revenue_before
        end as change_comparable,
        case when comparable.orders_before > 0 then
            cast(comparable.orders - comparable.orders_before as double precision)
            / comparable.orders_before
        end as change_orders_comparable,
        case when comparable.items_before > 0 then
            cast(comparable.items - comparable.items_before as double precision)
            / comparable.items_before
        end as change_items_comparable,
        case when comparable.revenue_before > 0 then
            cast(comparable.revenue as double precision) / comparable.orders
            / (cast(comparable.revenue_before as double precision) / comparable.orders_before)
            - 1
        end as change_average_basket_comparable
    from windows
    left join levels on levels.name = windows.name
    left join comparable on comparable.name = windows.name
),

final as (
    select
        max(case when name = 'period' then revenue end) as revenue,
        coalesce(max(case when name = 'period' then orders end), 0) as orders,
        max(case when name = 'period' then average_basket end) as average_basket,
        coalesce(max(case when name = 'period' then items end), 0) as items,
        max(case when name = 'period' then items_per_order end) as items_per_order,
        coalesce(max(case when name = 'period' then days_traded end), 0) as days_traded,
        coalesce(max(case when name = 'period' then branches end), 0) as branches,
        max(case when name = 'before' then revenue end) as revenue_before,
        max(case when name = 'before' then orders end) as orders_before,
        max(case when name = 'before' then average_basket end) as average_basket_before,
        max(case when name = 'before' then items end) as items_before,
        max(case when name = 'before' then items_per_order end) as items_per_order_before,
        coalesce(max(case when name = 'before' then days_traded end), 0) as days_traded_before,
        coalesce(max(case when name = 'before' then branches end), 0) as branches_before,
        max(case when name = 'last_year' then revenue end) as revenue_last_year,
        max(case when name = 'last_year' then orders end) as orders_last_year,
        max(case when name = 'last_year' then average_basket end) as average_basket_last_year,
        max(case when name = 'last_year' then items end) as items_last_year,
        max(case when name = 'last_year' then items_per_order end) as items_per_order_last_year,
        coalesce(max(case when name = 'last_year' then days_traded end), 0)
            as days_traded_last_year,
        coalesce(max(case when name = 'last_year' then branches end), 0) as branches_last_year,
        coalesce(max(case when name = 'before' then comparable_branches end), 0)
            as comparable_branches,
        coalesce(max(case when name = 'before' then comparable_days end), 0) as comparable_days,
        max(case when name = 'before' then revenue_comparable end) as revenue_comparable,
        max(case when name = 'before' then revenue_comparable_before end)
            as revenue_comparable_before,
        max(case when name = 'before' then change_comparable end) as change_comparable,
        max(case when name = 'before' then orders_comparable end) as orders_comparable,
        max(case when name = 'before' then orders_comparable_before end)
            as orders_comparable_before,
        max(case when name = 'before' then change_orders_comparable end)
            as change_orders_comparable,
        max(case when name = 'before' then items_comparable end) as items_comparable,
        max(case when name = 'before' then items_comparable_before end)
            as items_comparable_before,
        max(case when name = 'before' then change_items_comparable end)
            as change_items_comparable,
        max(case when name = 'before' then change_average_basket_comparable end)
            as change_average_basket_comparable,
        max(case when name = 'last_year' then change_comparable end)
            as change_comparable_last_year
    from ratios
)

select * from final

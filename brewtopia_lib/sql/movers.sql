-- one row per product
-- Only branch-days that traded in both periods, at branches whose data reach back to the start
-- of the period before: no rows where nothing can be compared. Effects are rounded to the penny
-- with floor, since engines round a cast differently; mix takes the rest, so they add up exactly.
with
branch_days as (
    select distinct
        branch,
        case
            when sold_on > cast(:until as date) - 7 * cast(:weeks as integer) then sold_on
            else sold_on + 7 * cast(:weeks as integer)
        end as aligned_on,
        sold_on
    from orders
    where sold_on > cast(:until as date) - 14 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
),

history as (
    select
        branch,
        min(sold_on) <= cast(:until as date) - 14 * cast(:weeks as integer) + 1 as reaches_back
    from orders
    where cast(:branch as varchar) is null or branch = cast(:branch as varchar)
    group by branch
),

comparable_days as (
    select branch_days.branch, branch_days.aligned_on
    from branch_days
    inner join history on history.branch = branch_days.branch and history.reaches_back
    group by branch_days.branch, branch_days.aligned_on
    having count(*) = 2
),

-- Only comparable rows are added up, and products named when few rows are left of many.
priced as (
    select
        sold.product || coalesce(' - ' || sold.flavour, '') as product,
        sold.size,
        sold.branch,
        cast(sum(case when sold.in_period then sold.revenue else 0 end) as decimal(18, 2))
            as revenue,
        cast(sum(case when not sold.in_period then sold.revenue else 0 end) as decimal(18, 2))
            as revenue_before,
        sum(case when sold.in_period then sold.units else 0 end) as units,
        sum(case when not sold.in_period then sold.units else 0 end) as units_before
    from (
        select
            hourly.product,
            hourly.flavour,
            hourly.size,
            hourly.branch,
            hourly.in_period,
            sum(hourly.units) as units,
            sum(hourly.revenue) as revenue
        from (
            select
                product,
                flavour,
                size,
                branch,
                case
                    when sold_on > cast(:until as date) - 7 * cast(:weeks as integer) then sold_on
                    else sold_on + 7 * cast(:weeks as integer)
                end as aligned_on,
                sold_on > cast(:until as date) - 7 * cast(:weeks as integer) as in_period,
                units,
                revenue
            from hourly_sales
            where sold_on > cast(:until as date) - 14 * cast(:weeks as integer)
                and sold_on <= cast(:until as date)
                and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
        ) as hourly
        inner join comparable_days
            on comparable_days.branch = hourly.branch
            and comparable_days.aligned_on = hourly.aligned_on
        group by
            hourly.product, hourly.flavour, hourly.size, hourly.branch, hourly.in_period
    ) as sold
    group by 1, 2, 3
),

repriced as (
    select
        product,
        revenue,
        revenue_before,
        units,
        units_before,
        case
            when units > 0 and units_before > 0 then revenue - cast(floor(
                cast(revenue_before * 100 as double precision) * units / units_before + 0.5
            ) as decimal(18, 0)) * 0.01
            else 0
        end as price_effect
    from priced
),

products as (
    select
        product,
        sum(revenue) as revenue,
        cast(sum(revenue_before) as decimal(18, 2)) as revenue_before,
        sum(revenue) - sum(revenue_before) as change_pounds,
        sum(price_effect) as price_effect,
        sum(units) as units,
        sum(units_before) as units_before
    from repriced
    group by product
),

effects as (
    select
        product,
        revenue,
        revenue_before,
        change_pounds,
        price_effect,
        case
            when units_before > 0 then cast(floor(
                cast(revenue_before * 100 as double precision)
                * (units - units_before) / units_before + 0.5
            ) as decimal(18, 0)) * 0.01
            else change_pounds - price_effect
        end as volume_effect,
        units,
        units_before
    from products
),

final as (
    select
        product,
        revenue,
        revenue_before,
        change_pounds,
        case when revenue_before > 0 then
            cast(change_pounds as double precision) / revenue_before
        end as change,
        price_effect,
        volume_effect,
        change_pounds - price_effect - volume_effect as mix_effect,
        cast(units as bigint) as units,
        cast(units_before as bigint) as units_before
    from effects
)

select * from final
order by abs(change_pounds) desc nulls last, product

-- one row per product
-- The first :limit by revenue and the first :limit by units. The change adds up only
-- branch-days that traded in both periods, at branches whose data reach back far enough.
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

-- Products are named when few rows are left of many.
sold as (
    select
        hourly.product || coalesce(' - ' || hourly.flavour, '') as product,
        hourly.in_period,
        hourly.is_comparable,
        hourly.units,
        hourly.revenue
    from (
        select
            placed.product,
            placed.flavour,
            placed.in_period,
            comparable_days.branch is not null as is_comparable,
            sum(placed.units) as units,
            sum(placed.revenue) as revenue
        from (
            select
                product,
                flavour,
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
        ) as placed
        left join comparable_days
            on comparable_days.branch = placed.branch
            and comparable_days.aligned_on = placed.aligned_on
        group by 1, 2, 3, 4
    ) as hourly
),

products as (
    select
        product,
        sum(case when in_period then revenue else 0 end) as revenue,
        sum(case when in_period then units else 0 end) as units,
        sum(case when not in_period then revenue else 0 end) as revenue_before,
        sum(case when in_period and is_comparable then revenue else 0 end) as revenue_comparable,
        sum(case when not in_period and is_comparable then revenue else 0 end)
            as revenue_comparable_before,
        max(case when in_period then 1 else 0 end) as sold_in_period
    from sold
    group by product
),

ranked as (
    select
        product,
        revenue,
        cast(units as bigint) as units,
        cast(revenue as double precision) / nullif(sum(revenue) over (), 0) as revenue_share,
        cast(units as double precision) / nullif(sum(units) over (), 0) as unit_share,
        row_number() over (order by revenue desc nulls last, product) as revenue_rank,
        row_number() over (order by units desc nulls last, product) as units_rank,
        case when (select max(case when reaches_back then 1 else 0 end) from history) = 1
            then revenue_before
        end as revenue_before,
        case when revenue_comparable_before > 0 then
            cast(revenue_comparable - revenue_comparable_before as double precision)
            / revenue_comparable_before
        end as change
    from products
    where sold_in_period = 1
),

final as (
    select *
    from ranked
    where revenue_rank <= cast(:limit as integer)
        or units_rank <= cast(:limit as integer)
)

select * from final
order by revenue_rank, product

-- one row per week_start
-- The last 26 weeks (or both periods, if longer), Monday to Sunday, in which anything was sold.
with
history as (
    select min(sold_on) as first_day
    from hourly_sales
    where cast(:branch as varchar) is null or branch = cast(:branch as varchar)
),

sold as (
    select
        branch,
        sold_on,
        product,
        flavour,
        sum(units) as units,
        sum(revenue) as revenue
    from hourly_sales
    where sold_on >= cast(date_trunc('week', cast(:until as date)) as date)
        - 7 * (greatest(26, 2 * cast(:weeks as integer)) - 1)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by branch, sold_on, product, flavour
),

branch_days as (
    select
        sold_on,
        sum(case when is_asked then units else 0 end) as units,
        sum(case when is_asked then revenue else 0 end) as revenue
    from (
        select
            branch,
            sold_on,
            units,
            revenue,
            cast(:product as varchar) is null
                or product || coalesce(' - ' || flavour, '') = cast(:product as varchar)
                as is_asked
        from sold
    ) as named
    group by branch, sold_on
),

final as (
    select
        cast(date_trunc('week', branch_days.sold_on) as date) as week_start,
        count(*) as days,
        cast(date_trunc('week', branch_days.sold_on) as date) >= history.first_day
            and cast(date_trunc('week', branch_days.sold_on) as date) + 6
            <= cast(:until as date) as complete,
        cast(sum(branch_days.units) as bigint) as units,
        sum(branch_days.revenue) as revenue,
        cast(sum(branch_days.revenue) as double precision)
            / nullif(sum(branch_days.units), 0) as average_price
    from branch_days
    cross join history
    group by cast(date_trunc('week', branch_days.sold_on) as date), history.first_day
)

select * from final
order by week_start

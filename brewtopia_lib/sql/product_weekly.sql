-- one row per week_start
-- The last 26 weeks (or both periods, if longer), Monday to Sunday, in which anything was sold.
with
history as (
    select min(sold_on) as first_day
    from hourly_sales
    where cast(:branch as varchar) is null or branch = cast(:branch as varchar)
),

sold as (
    select sold_on, product, flavour, sum(units) as units, sum(revenue) as revenue
    from hourly_sales
    where sold_on >= cast(date_trunc('week', cast(:until as date)) as date)
        - 7 * (greatest(26, 2 * cast(:weeks as integer)) - 1)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by sold_on, product, flavour
),

asked as (
    select
        cast(date_trunc('week', sold_on) as date) as week_start,
        sum(case when is_asked then units else 0 end) as units,
        sum(case when is_asked then revenue else 0 end) as revenue
    from (
        select
            sold_on,
            units,
            revenue,
            cast(:product as varchar) is null
                or product || coalesce(' - ' || flavour, '') = cast(:product as varchar)
                as is_asked
        from sold
    ) as named
    group by cast(date_trunc('week', sold_on) as date)
),

traded as (
    select cast(date_trunc('week', sold_on) as date) as week_start, count(*) as days
    from (
        select distinct branch, sold_on
        from hourly_sales
        where sold_on >= cast(date_trunc('week', cast(:until as date)) as date)
            - 7 * (greatest(26, 2 * cast(:weeks as integer)) - 1)
            and sold_on <= cast(:until as date)
            and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    ) as branch_days
    group by cast(date_trunc('week', sold_on) as date)
),

final as (
    select
        asked.week_start,
        traded.days,
        asked.week_start >= history.first_day
            and asked.week_start + 6 <= cast(:until as date) as complete,
        cast(asked.units as bigint) as units,
        asked.revenue,
        cast(asked.revenue as double precision) / nullif(asked.units, 0) as average_price
    from asked
    inner join traded on traded.week_start = asked.week_start
    cross join history
)

select * from final
order by week_start

-- one row per branch, product
-- Sold on at least 80 % of the branch's trading days in the eight weeks up to its last sale (a
-- week's worth of days at least), and on none of the three or more trading days since. Only
-- silences that began in the period.
with
trading_days as (
    select distinct branch, sold_on
    from orders
    where sold_on > cast(:until as date) - 7 * cast(:weeks as integer) - 70
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
),

last_sales as (
    select
        branch,
        product || coalesce(' - ' || flavour, '') as product,
        max(last_sold_on) as last_sold_on
    from (
        select branch, product, flavour, max(sold_on) as last_sold_on
        from hourly_sales
        where sold_on > cast(:until as date) - 7 * cast(:weeks as integer) - 70
            and sold_on <= cast(:until as date)
            and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
        group by branch, product, flavour
    ) as sold
    group by 1, 2
),

silences as (
    select
        last_sales.branch,
        last_sales.product,
        last_sales.last_sold_on,
        count(*) as days_silent
    from last_sales
    inner join trading_days
        on trading_days.branch = last_sales.branch
        and trading_days.sold_on > last_sales.last_sold_on
    group by last_sales.branch, last_sales.product, last_sales.last_sold_on
    having count(*) >= 3
        and min(trading_days.sold_on) > cast(:until as date) - 7 * cast(:weeks as integer)
),

reference_days as (
    select
        silences.branch,
        silences.last_sold_on,
        count(*) as days,
        silences.last_sold_on - min(trading_days.sold_on) + 1 as days_spanned
    from (select distinct branch, last_sold_on from silences) as silences
    inner join trading_days
        on trading_days.branch = silences.branch
        and trading_days.sold_on > silences.last_sold_on - 56
        and trading_days.sold_on <= silences.last_sold_on
    group by silences.branch, silences.last_sold_on
    having count(*) >= 7
),

-- Only branches with a silence: few rows of many.
product_days as (
    select
        branch,
        product || coalesce(' - ' || flavour, '') as product,
        sold_on,
        sum(units) as units,
        sum(revenue) as revenue
    from hourly_sales
    where sold_on > cast(:until as date) - 7 * cast(:weeks as integer) - 70
        and sold_on <= cast(:until as date)
        and branch in (select branch from silences)
    group by 1, 2, 3
),

reference_sales as (
    select
        silences.branch,
        silences.product,
        silences.last_sold_on,
        silences.days_silent,
        count(*) as days_sold,
        sum(product_days.units) as units,
        sum(product_days.revenue) as revenue
    from silences
    inner join product_days
        on product_days.branch = silences.branch
        and product_days.product = silences.product
        and product_days.sold_on > silences.last_sold_on - 56
    group by
        silences.branch, silences.product, silences.last_sold_on, silences.days_silent
),

final as (
    select
        reference_sales.branch,
        reference_sales.product,
        reference_sales.last_sold_on,
        reference_sales.days_silent,
        cast(reference_sales.units as double precision) * reference_sales.days_silent
            / reference_days.days as expected_units,
        cast(reference_sales.revenue as double precision) * 7 / reference_days.days_spanned
            as weekly_revenue
    from reference_sales
    inner join reference_days
        on reference_days.branch = reference_sales.branch
        and reference_days.last_sold_on = reference_sales.last_sold_on
    where reference_sales.days_sold * 10 >= reference_days.days * 8
)

select * from final
order by weekly_revenue desc nulls last, branch, product

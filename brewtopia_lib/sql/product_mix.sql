-- one row per product, size, flavour
with
sold as (
    select
        product,
        size,
        flavour,
        sum(units) as units,
        sum(revenue) as revenue
    from hourly_sales
    where sold_on > cast(:until as date) - 7 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by product, size, flavour
),

final as (
    select
        product,
        size,
        flavour,
        cast(units as bigint) as units,
        revenue,
        cast(units as double precision) / nullif(sum(units) over (), 0) as unit_share,
        cast(revenue as double precision) / nullif(sum(revenue) over (), 0) as revenue_share,
        cast(revenue as double precision) / nullif(units, 0) as average_price
    from sold
)

select * from final
order by
    revenue desc nulls last,
    product,
    size asc nulls first,
    flavour asc nulls first

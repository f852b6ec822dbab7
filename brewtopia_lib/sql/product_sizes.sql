-- one row per branch, product, size
with
items as (
    select branch, product, flavour, size, sum(units) as units, sum(revenue) as revenue
    from hourly_sales
    where sold_on >= cast(:first_day as date)
        and sold_on <= cast(:until as date)
    group by branch, product, flavour, size
),

final as (
    select
        branch,
        product || coalesce(' - ' || flavour, '') as product,
        coalesce(size, '') as size,
        cast(sum(units) as bigint) as units,
        cast(sum(revenue) * 100 as bigint) as pence
    from items
    group by 1, 2, 3
)

select * from final
order by branch, product, size

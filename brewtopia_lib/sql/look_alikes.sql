-- one row per product_a, product_b
-- Names that are equal but for case, spaces and punctuation; the one that earns more comes first.
with
products as (
    select
        product,
        -- a maps to itself: an empty target list means different things to different engines
        translate(lower(product), 'a -_.,;:!?/&+*()''"', 'a') as bare_name,
        sum(units) as units,
        sum(revenue) as revenue
    from hourly_sales
    group by product
),

final as (
    select
        more.product as product_a,
        less.product as product_b,
        more.revenue as revenue_a,
        less.revenue as revenue_b,
        cast(more.revenue as double precision) / nullif(more.units, 0) as average_price_a,
        cast(less.revenue as double precision) / nullif(less.units, 0) as average_price_b
    from products as more
    inner join products as less
        on less.bare_name = more.bare_name
        and (
            less.revenue < more.revenue
            or (less.revenue = more.revenue and less.product > more.product)
        )
)

select * from final
order by revenue_a desc nulls last, product_a, product_b

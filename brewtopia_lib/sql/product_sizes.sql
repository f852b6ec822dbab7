-- one row per branch_no, product_no, size
-- Branches and products are numbered from zero in the order of their names, as in product_days.
with
sold as (
    select
        branch,
        product || coalesce(' - ' || flavour, '') as product,
        coalesce(size, '') as size,
        sold_on,
        units,
        revenue
    from hourly_sales
    where sold_on >= cast(:first_day as date)
        and sold_on <= cast(:until as date)
),

sizes as (
    select
        branch,
        product,
        size,
        sum(units) as units,
        sum(revenue) as revenue,
        sum(case when sold_on >= cast(:recent_day as date) then units else 0 end) as recent_units,
        sum(case when sold_on >= cast(:recent_day as date) then revenue else 0 end)
            as recent_revenue
    from sold
    group by branch, product, size
),

branch_numbers as (
    select branch, row_number() over (order by branch) - 1 as branch_no
    from (select distinct branch from sizes) as names
),

product_numbers as (
    select product, row_number() over (order by product) - 1 as product_no
    from (select distinct product from sizes) as names
),

final as (
    select
        cast(branch_numbers.branch_no as integer) as branch_no,
        cast(product_numbers.product_no as integer) as product_no,
        sizes.branch,
        sizes.product,
        sizes.size,
        cast(sizes.units as bigint) as units,
        cast(sizes.revenue * 100 as bigint) as pence,
        cast(sizes.recent_units as bigint) as recent_units,
        cast(sizes.recent_revenue * 100 as bigint) as recent_pence
    from sizes
    inner join branch_numbers on branch_numbers.branch = sizes.branch
    inner join product_numbers on product_numbers.product = sizes.product
)

select * from final
order by branch_no, product_no, size

-- one row per branch_no, product_no, day_no
-- All in numbers, since there are millions: branches and products are numbered from zero in the
-- order of their names, as in product_sizes, and days from :first_day.
with
sold as (
    select branch, product, flavour, sold_on, sum(units) as units
    from hourly_sales
    where sold_on >= cast(:first_day as date)
        and sold_on <= cast(:until as date)
    group by branch, product, flavour, sold_on
),

branch_numbers as (
    select branch, row_number() over (order by branch) - 1 as branch_no
    from (select distinct branch from sold) as names
),

product_numbers as (
    select product, row_number() over (order by product) - 1 as product_no
    from (
        select distinct product || coalesce(' - ' || flavour, '') as product
        from sold
    ) as names
),

final as (
    select
        cast(branch_numbers.branch_no as integer) as branch_no,
        cast(product_numbers.product_no as integer) as product_no,
        cast(sold.sold_on - cast(:first_day as date) as integer) as day_no,
        cast(sum(sold.units) as integer) as units
    from sold
    inner join branch_numbers on branch_numbers.branch = sold.branch
    inner join product_numbers
        on product_numbers.product = sold.product || coalesce(' - ' || sold.flavour, '')
    group by 1, 2, 3
)

select * from final
order by branch_no, product_no, day_no

-- one row per branch, product_a, product_b
-- Among the forty products in most orders, which bounds the self-join; a is in fewer orders of
-- the chain than b.
with
order_products as (
    select distinct
        order_id,
        branch,
        product || coalesce(' - ' || flavour, '') as product
    from sales
    where sold_on >= cast(:first_day as date)
        and sold_on <= cast(:until as date)
),

branch_products as (
    select branch, product, count(*) as orders
    from order_products
    group by branch, product
),

popular as (
    select product, place
    from (
        select
            product,
            row_number() over (order by sum(orders) desc nulls last, product) as place
        from branch_products
        group by product
    ) as ranked
    where place <= 40
),

baskets as (
    select order_products.order_id, order_products.branch, popular.place
    from order_products
    inner join popular on popular.product = order_products.product
),

together as (
    select rarer.branch, rarer.place as place_a, commoner.place as place_b, count(*) as orders
    from baskets as rarer
    inner join baskets as commoner
        on commoner.order_id = rarer.order_id
        and commoner.place < rarer.place
    group by rarer.branch, rarer.place, commoner.place
),

branch_orders as (
    select branch, count(*) as orders
    from orders
    where sold_on >= cast(:first_day as date)
        and sold_on <= cast(:until as date)
    group by branch
),

final as (
    select
        branch_a.branch,
        branch_a.product as product_a,
        branch_b.product as product_b,
        cast(coalesce(together.orders, 0) as bigint) as orders_together,
        cast(branch_a.orders as bigint) as orders_a,
        cast(branch_b.orders as bigint) as orders_b,
        cast(branch_orders.orders as bigint) as orders
    from branch_products as branch_a
    inner join popular as product_a on product_a.product = branch_a.product
    inner join branch_products as branch_b on branch_b.branch = branch_a.branch
    inner join popular as product_b
        on product_b.product = branch_b.product
        and product_b.place < product_a.place
    inner join branch_orders on branch_orders.branch = branch_a.branch
    left join together
        on together.branch = branch_a.branch
        and together.place_a = product_a.place
        and together.place_b = product_b.place
)

select * from final
order by branch, product_a, product_b

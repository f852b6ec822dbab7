-- one row per branch, product_a, product_b
-- Among the forty products in most orders, which bounds the self-join; a is in fewer orders of
-- the chain than b. Many orders hold the same basket, whose products are looked at once.
with
sold as (
    select branch, basket_no
    from order_baskets
    where sold_on >= cast(:first_day as date)
        and sold_on <= cast(:until as date)
),

branch_orders as (
    select branch, count(*) as orders
    from sold
    group by branch
),

baskets as (
    select basket_no, count(*) as orders
    from sold
    group by basket_no
),

item_products as (
    select item_no, product, cast(dense_rank() over (order by product) as integer) as product_no
    from (
        select item_no, product || coalesce(' - ' || flavour, '') as product
        from items
    ) as named_items
),

products as (
    select distinct product_no, product
    from item_products
),

basket_products as (
    select distinct baskets.basket_no, baskets.orders, item_products.product_no
    from baskets
    inner join basket_lines on basket_lines.basket_no = baskets.basket_no
    inner join item_products on item_products.item_no = basket_lines.item_no
),

popular as (
    select product_no, product, cast(place as integer) as place
    from (
        select
            products.product_no,
            products.product,
            row_number() over (
                order by sum(basket_products.orders) desc nulls last, products.product
            ) as place
        from basket_products
        inner join products on products.product_no = basket_products.product_no
        group by products.product_no, products.product
    ) as ranked
    where place <= 40
),

popular_lines as (
    select basket_products.basket_no, popular.place
    from basket_products
    inner join popular on popular.product_no = basket_products.product_no
),

branch_products as (
    select sold.branch, popular_lines.place, count(*) as orders
    from sold
    inner join popular_lines on popular_lines.basket_no = sold.basket_no
    group by sold.branch, popular_lines.place
),

together as (
    select
        sold.branch,
        rarer.place as place_a,
        commoner.place as place_b,
        count(*) as orders
    from sold
    inner join popular_lines as rarer on rarer.basket_no = sold.basket_no
    inner join popular_lines as commoner
        on commoner.basket_no = rarer.basket_no
        and commoner.place < rarer.place
    group by sold.branch, rarer.place, commoner.place
),

final as (
    select
        branch_a.branch,
        product_a.product as product_a,
        product_b.product as product_b,
        cast(coalesce(together.orders, 0) as bigint) as orders_together,
        cast(branch_a.orders as bigint) as orders_a,
        cast(branch_b.orders as bigint) as orders_b,
        cast(branch_orders.orders as bigint) as orders
    from branch_products as branch_a
    inner join popular as product_a on product_a.place = branch_a.place
    inner join branch_products as branch_b
        on branch_b.branch = branch_a.branch
        and branch_b.place < branch_a.place
    inner join popular as product_b on product_b.place = branch_b.place
    inner join branch_orders on branch_orders.branch = branch_a.branch
    left join together
        on together.branch = branch_a.branch
        and together.place_a = branch_a.place
        and together.place_b = branch_b.place
)

select * from final
order by branch, product_a, product_b

-- one row per product_a, product_b
-- Among the forty products in most orders, which bounds the self-join. The product in fewer
-- orders comes first: its attach rate is the higher of the two. Chance is reckoned within each
-- branch: products that only the same branches sell would otherwise seem to go together.
-- Many orders hold the same basket, whose products are looked at once.
with
sold as (
    select branch, basket_no
    from order_baskets
    where sold_on > cast(:until as date) - 7 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
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
    select product_no, product, orders, cast(place as integer) as place
    from (
        select
            products.product_no,
            products.product,
            sum(basket_products.orders) as orders,
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
    select basket_products.basket_no, basket_products.orders, popular.place
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
        rarer.place as place_a,
        commoner.place as place_b,
        cast(sum(rarer.orders) as bigint) as orders_together
    from popular_lines as rarer
    inner join popular_lines as commoner
        on commoner.basket_no = rarer.basket_no
        and commoner.place < rarer.place
    group by rarer.place, commoner.place
    having sum(rarer.orders) >= 30
),

-- In whole millionths of an order, so that the sum does not depend on its order.
chance as (
    select
        together.place_a,
        together.place_b,
        sum(cast(floor(
            cast(branch_a.orders as double precision) * branch_b.orders / branch_orders.orders
            * 1000000 + 0.5
        ) as decimal(18, 0))) as millionths_expected
    from together
    inner join branch_products as branch_a on branch_a.place = together.place_a
    inner join branch_products as branch_b
        on branch_b.place = together.place_b
        and branch_b.branch = branch_a.branch
    inner join branch_orders on branch_orders.branch = branch_a.branch
    group by together.place_a, together.place_b
),

named as (
    select
        product_a.product as product_a,
        product_b.product as product_b,
        together.orders_together,
        cast(product_a.orders as bigint) as orders_a,
        cast(product_b.orders as bigint) as orders_b,
        cast(together.orders_together as double precision) / product_a.orders as attach_rate,
        cast(together.orders_together as double precision) * 1000000
        / chance.millionths_expected as lift
    from together
    inner join popular as product_a on product_a.place = together.place_a
    inner join popular as product_b on product_b.place = together.place_b
    inner join chance
        on chance.place_a = together.place_a
        and chance.place_b = together.place_b
),

final as (
    select
        product_a,
        product_b,
        orders_together,
        orders_a,
        orders_b,
        attach_rate,
        lift
    from (
        select
            *,
            row_number() over (
                order by lift desc nulls last, orders_together desc nulls last, product_a, product_b
            ) as place
        from named
    ) as placed
    where place <= cast(:limit as integer)
)

select * from final
order by lift desc nulls last, orders_together desc nulls last, product_a, product_b

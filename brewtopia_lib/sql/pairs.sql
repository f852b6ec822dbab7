-- one row per product_a, product_b
-- Among the forty products in most orders, which bounds the self-join. The product in fewer
-- orders comes first: its attach rate is the higher of the two. Chance is reckoned within each
-- branch: products that only the same branches sell would otherwise seem to go together.
with
order_products as (
    select distinct
        order_id,
        branch,
        product || coalesce(' - ' || flavour, '') as product
    from sales
    where sold_on > cast(:until as date) - 7 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
),

branch_orders as (
    select branch, count(*) as orders
    from orders
    where sold_on > cast(:until as date) - 7 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by branch
),

branch_products as (
    select branch, product, count(*) as orders
    from order_products
    group by branch, product
),

popular as (
    select product, orders, place
    from (
        select
            product,
            sum(orders) as orders,
            row_number() over (order by sum(orders) desc nulls last, product) as place
        from branch_products
        group by product
    ) as ranked
    where place <= 40
),

baskets as (
    select order_products.order_id, cast(popular.place as integer) as place
    from order_products
    inner join popular on popular.product = order_products.product
),

together as (
    select
        rarer.place as place_a,
        commoner.place as place_b,
        count(*) as orders_together
    from baskets as rarer
    inner join baskets as commoner
        on commoner.order_id = rarer.order_id
        and commoner.place < rarer.place
    group by rarer.place, commoner.place
    having count(*) >= 30
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
    inner join popular as product_a on product_a.place = together.place_a
    inner join popular as product_b on product_b.place = together.place_b
    inner join branch_products as branch_a on branch_a.product = product_a.product
    inner join branch_products as branch_b
        on branch_b.product = product_b.product
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

-- one row per product_a, product_b
-- Among the forty products in most orders, which bounds the self-join. The product in fewer
-- orders comes first: its attach rate is the higher of the two.
with
order_products as (
    select distinct
        order_id,
        product || coalesce(' - ' || flavour, '') as product
    from sales
    where sold_on > cast(:until as date) - 7 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
),

all_orders as (
    select count(*) as orders
    from orders
    where sold_on > cast(:until as date) - 7 * cast(:weeks as integer)
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
),

ranked as (
    select
        product,
        orders,
        row_number() over (order by orders desc nulls last, product) as place
    from (
        select product, count(*) as orders
        from order_products
        group by product
    ) as products
),

popular as (
    select *
    from ranked
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

named as (
    select
        product_a.product as product_a,
        product_b.product as product_b,
        together.orders_together,
        product_a.orders as orders_a,
        product_b.orders as orders_b,
        cast(together.orders_together as double precision) / product_a.orders as attach_rate,
        cast(together.orders_together as double precision) / product_a.orders
        / product_b.orders * all_orders.orders as lift
    from together
    inner join popular as product_a on product_a.place = together.place_a
    inner join popular as product_b on product_b.place = together.place_b
    cross join all_orders
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

-- one row per branch
with
final as (
    select
        branch,
        min(sold_on) as first_day,
        max(sold_on) as last_day,
        count(distinct sold_on) as days,
        count(*) as orders,
        sum(total) as revenue
    from orders
    group by branch
)

select * from final
order by branch

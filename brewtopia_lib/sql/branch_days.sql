-- one row per branch, day_no
-- Days are numbered from :first_day.
with
final as (
    select
        branch,
        cast(sold_on - cast(:first_day as date) as integer) as day_no,
        cast(count(*) as integer) as orders,
        cast(sum(total) * 100 as bigint) as pence
    from orders
    where sold_on >= cast(:first_day as date)
        and sold_on <= cast(:until as date)
    group by branch, sold_on
)

select * from final
order by branch, day_no

-- one row per branch
with
final as (
    select
        branch,
        count(*) as orders,
        sum(total - lines_total) as difference
    from orders
    where not total_matches
    group by branch
)

select * from final
order by abs(difference) desc nulls last, branch

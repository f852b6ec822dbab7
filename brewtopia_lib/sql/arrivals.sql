-- one row per branch, sold_on
-- When the first file that speaks of the branch-day was first cleaned, from :recent_day on.
with
final as (
    select object_days.branch, object_days.sold_on, min(loads.cleaned_at) as cleaned_at
    from object_days
    inner join loads on loads.source = object_days.source
    where object_days.sold_on >= cast(:recent_day as date)
    group by object_days.branch, object_days.sold_on
)

select * from final
order by branch, sold_on

-- one row per reason
-- Of the files cleaned from :recent_day on. The total of a row that repeats another is already
-- counted once.
with
final as (
    select
        rejects.reason,
        count(*) as rows,
        coalesce(sum(case when rejects.reason <> 'duplicate_row' then rejects.total end), 0)
            as revenue_not_counted
    from rejects
    inner join loads on loads.source = rejects.source and loads.is_current
    where loads.cleaned_at >= cast(:recent_day as date)
    group by rejects.reason
)

select * from final
order by rows desc nulls last, reason

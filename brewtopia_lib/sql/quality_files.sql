-- one row per source
-- The current version of each file; those with rejected rows or with none at all come first.
with
not_counted as (
    select
        source,
        sum(case when reason <> 'duplicate_row' then total end) as revenue_not_counted
    from rejects
    group by source
),

final as (
    select
        loads.source,
        loads.feed,
        loads.rows,
        loads.orders,
        loads.lines,
        loads.rejected,
        loads.revenue,
        cast(coalesce(not_counted.revenue_not_counted, 0) as decimal(14, 2))
            as revenue_not_counted,
        loads.cleaned_at
    from loads
    left join not_counted on not_counted.source = loads.source
    where loads.is_current
)

select * from final
order by
    case when rejected > 0 or rows = 0 then 0 else 1 end,
    rejected desc nulls last,
    source

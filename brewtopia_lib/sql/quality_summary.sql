-- one row per reason
-- The total of a row that repeats another is already counted once.
with
final as (
    select
        reason,
        count(*) as rows,
        count(distinct source) as files,
        cast(
            coalesce(sum(case when reason <> 'duplicate_row' then total end), 0) as decimal(14, 2)
        ) as revenue_not_counted
    from rejects
    group by reason
)

select * from final
order by rows desc nulls last, reason

-- one row
-- The files cleaned from :recent_day on, and what was rejected in them. Over the limit are those
-- of which more than one row in twenty was rejected, and at least three.
with
final as (
    select
        count(*) as files,
        coalesce(sum(rows), 0) as rows,
        coalesce(sum(rejected), 0) as rejected,
        coalesce(sum(case when rejected >= 3 and rejected * 20 > rows then 1 else 0 end), 0)
            as files_over_limit
    from loads
    where is_current
        and cleaned_at >= cast(:recent_day as date)
)

select * from final

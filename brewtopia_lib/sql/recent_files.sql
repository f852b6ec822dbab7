-- one row
-- The files cleaned from :recent_day on, and what was rejected in them.
with
final as (
    select
        count(*) as files,
        coalesce(sum(rows), 0) as rows,
        coalesce(sum(rejected), 0) as rejected
    from loads
    where is_current
        and cleaned_at >= cast(:recent_day as date)
)

select * from final

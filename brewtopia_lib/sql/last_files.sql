-- one row per branch
-- The file that was cleaned last, of those that speak of the branch now.
with
spoken as (
    select distinct branch, source
    from object_days
),

files as (
    select
        spoken.branch,
        spoken.source,
        loads.cleaned_at,
        row_number() over (
            partition by spoken.branch
            order by loads.cleaned_at desc nulls last, spoken.source
        ) as place
    from spoken
    inner join loads on loads.source = spoken.source and loads.is_current
),

days as (
    select branch, max(sold_on) as last_day
    from object_days
    group by branch
),

final as (
    select files.branch, files.source, files.cleaned_at, days.last_day
    from files
    inner join days on days.branch = files.branch
    where files.place = 1
)

select * from final
order by branch

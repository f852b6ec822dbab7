-- one row per branch, sold_on
-- A branch normally trades on a weekday if it did on at least half of the last eight since its
-- first day.
with
digits as (
    select 0 as digit
    union all select 1
    union all select 2
    union all select 3
    union all select 4
    union all select 5
    union all select 6
    union all select 7
    union all select 8
    union all select 9
),

lags as (
    select 7 * digit as days
    from digits
    where digit between 1 and 8
),

ages as (
    select ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit as days
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
),

branch_days as (
    select branch, sold_on, sum(total) as revenue
    from orders
    where sold_on > cast(:until as date) - 7 * cast(:weeks as integer) - 56
        and sold_on <= cast(:until as date)
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by branch, sold_on
),

history as (
    select branch, min(sold_on) as first_day
    from orders
    where cast(:branch as varchar) is null or branch = cast(:branch as varchar)
    group by branch
),

silent_days as (
    select
        history.branch,
        history.first_day,
        cast(:until as date) - ages.days as sold_on
    from history
    inner join ages on cast(:until as date) - ages.days > history.first_day
    left join branch_days
        on branch_days.branch = history.branch
        and branch_days.sold_on = cast(:until as date) - ages.days
    where ages.days < 7 * cast(:weeks as integer)
        and branch_days.branch is null
),

final as (
    select
        silent_days.branch,
        silent_days.sold_on,
        mod(cast(extract(dow from silent_days.sold_on) as integer) + 6, 7) + 1 as weekday,
        cast(sum(branch_days.revenue) as double precision) / count(branch_days.sold_on)
            as expected_revenue
    from silent_days
    inner join lags on silent_days.sold_on - lags.days >= silent_days.first_day
    left join branch_days
        on branch_days.branch = silent_days.branch
        and branch_days.sold_on = silent_days.sold_on - lags.days
    group by silent_days.branch, silent_days.sold_on
    having count(branch_days.sold_on) > 0
        and 2 * count(branch_days.sold_on) >= count(*)
)

select * from final
order by sold_on, branch

-- one row per week_start
-- The last 26 weeks (or both periods, if longer), Monday to Sunday. Every branch-day is
-- compared with the same weekday one week, four weeks and 364 days earlier, so that a week cut
-- short is compared with the same days of the others.
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
    select 7 as days
    union all select 14
    union all select 21
    union all select 28
),

branch_days as (
    select
        branch,
        sold_on,
        count(*) as orders,
        sum(units) as items,
        cast(sum(total) as decimal(18, 2)) as revenue
    from orders
    where (
            sold_on > cast(:until as date) - 28 - 7 * greatest(26, 2 * cast(:weeks as integer))
            and sold_on <= cast(:until as date)
            or sold_on > cast(:until as date) - 364 - 7 * greatest(26, 2 * cast(:weeks as integer))
            and sold_on <= cast(:until as date) - 364
        )
        and (cast(:branch as varchar) is null or branch = cast(:branch as varchar))
    group by branch, sold_on
),

history as (
    select branch, min(sold_on) as first_day
    from orders
    where cast(:branch as varchar) is null or branch = cast(:branch as varchar)
    group by branch
),

ages as (
    select ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit as days
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
),

branch_calendar as (
    select
        history.branch,
        history.first_day,
        cast(:until as date) - ages.days as sold_on
    from history
    inner join ages on cast(:until as date) - ages.days >= history.first_day
    where cast(:until as date) - ages.days
        >= cast(date_trunc('week', cast(:until as date)) as date)
        - 7 * (greatest(26, 2 * cast(:weeks as integer)) - 1)
),

-- In twelfths, so that means of two, three or four days add up over branches to the penny.
four_weeks as (
    select
        branch_calendar.branch,
        branch_calendar.sold_on,
        case count(*) when 4 then 3 when 3 then 4 when 2 then 6 end
            * cast(sum(branch_days.revenue) as decimal(18, 2)) as twelve_means
    from branch_calendar
    cross join lags
    inner join branch_days
        on branch_days.branch = branch_calendar.branch
        and branch_days.sold_on = branch_calendar.sold_on - lags.days
    where branch_calendar.first_day <= branch_calendar.sold_on - 28
    group by branch_calendar.branch, branch_calendar.sold_on
),

compared as (
    select
        branch_calendar.sold_on,
        today.orders,
        today.items,
        today.revenue,
        last_week.revenue as revenue_last_week,
        last_year.revenue as revenue_last_year,
        four_weeks.twelve_means
    from branch_calendar
    left join branch_days as today
        on today.branch = branch_calendar.branch
        and today.sold_on = branch_calendar.sold_on
    left join branch_days as last_week
        on last_week.branch = branch_calendar.branch
        and last_week.sold_on = branch_calendar.sold_on - 7
    left join branch_days as last_year
        on last_year.branch = branch_calendar.branch
        and last_year.sold_on = branch_calendar.sold_on - 364
    left join four_weeks
        on four_weeks.branch = branch_calendar.branch
        and four_weeks.sold_on = branch_calendar.sold_on
),

weeks as (
    select
        cast(date_trunc('week', sold_on) as date) as week_start,
        count(revenue) as days,
        sum(revenue) as revenue,
        coalesce(sum(orders), 0) as orders,
        coalesce(sum(items), 0) as items,
        sum(twelve_means) as twelve_means,
        sum(case when revenue_last_week is not null then revenue end) as now_last_week,
        sum(case when revenue is not null then revenue_last_week end) as then_last_week,
        sum(case when twelve_means is not null then 12 * revenue end) as now_twelve_means,
        sum(case when revenue is not null then twelve_means end) as then_twelve_means,
        sum(case when revenue_last_year is not null then revenue end) as now_last_year,
        sum(case when revenue is not null then revenue_last_year end) as then_last_year
    from compared
    group by cast(date_trunc('week', sold_on) as date)
),

final as (
    select
        weeks.week_start,
        weeks.days,
        weeks.days > 0
            and weeks.week_start >= (select min(first_day) from history)
            and weeks.week_start + 6 <= cast(:until as date) as complete,
        weeks.revenue,
        weeks.orders,
        weeks.items,
        cast(weeks.revenue as double precision) / nullif(weeks.orders, 0) as average_basket,
        case when weeks.then_last_week > 0 then
            cast(weeks.now_last_week - weeks.then_last_week as double precision)
            / weeks.then_last_week
        end as change_week_before,
        cast(weeks.twelve_means as double precision) / 12 as four_week_average,
        case when weeks.then_twelve_means > 0 then
            cast(weeks.now_twelve_means - weeks.then_twelve_means as double precision)
            / weeks.then_twelve_means
        end as change_four_week_average,
        case when weeks.then_last_year > 0 then
            cast(weeks.now_last_year - weeks.then_last_year as double precision)
            / weeks.then_last_year
        end as change_last_year
    from weeks
)

select * from final
order by week_start

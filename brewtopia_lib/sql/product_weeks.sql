-- one row per first_day_no, branch, product
-- A week to the row, since there are millions of days: units of each of its seven days, and the
-- revenue of all. Days are numbered from :first_day.
with
numbered as (
    select
        branch,
        product,
        flavour,
        cast(sold_on - cast(:first_day as date) as integer) as day_no,
        units,
        revenue
    from hourly_sales
    where sold_on >= cast(:first_day as date)
        and sold_on <= cast(:until as date)
),

placed as (
    select branch, product, flavour, day_no, mod(day_no, 7) as place, units, revenue
    from numbered
),

-- names are put together afterwards, when there are fewer
items as (
    select
        branch,
        product,
        flavour,
        day_no - place as first_day_no,
        sum(case when place = 0 then units else 0 end) as units_0,
        sum(case when place = 1 then units else 0 end) as units_1,
        sum(case when place = 2 then units else 0 end) as units_2,
        sum(case when place = 3 then units else 0 end) as units_3,
        sum(case when place = 4 then units else 0 end) as units_4,
        sum(case when place = 5 then units else 0 end) as units_5,
        sum(case when place = 6 then units else 0 end) as units_6,
        sum(revenue) as revenue
    from placed
    group by branch, product, flavour, day_no - place
),

final as (
    select
        first_day_no,
        branch,
        product || coalesce(' - ' || flavour, '') as product,
        cast(sum(units_0) as integer) as units_0,
        cast(sum(units_1) as integer) as units_1,
        cast(sum(units_2) as integer) as units_2,
        cast(sum(units_3) as integer) as units_3,
        cast(sum(units_4) as integer) as units_4,
        cast(sum(units_5) as integer) as units_5,
        cast(sum(units_6) as integer) as units_6,
        cast(sum(revenue) * 100 as bigint) as pence
    from items
    group by 1, 2, 3
)

select * from final
order by first_day_no, branch, product

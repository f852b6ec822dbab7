-- one row
-- What the warehouse holds. The total of a row that repeats another is already counted once.
with
traded as (
    select
        min(sold_on) as first_day,
        max(sold_on) as last_day,
        count(distinct branch) as branches,
        count(*) as orders,
        cast(coalesce(sum(line_count), 0) as bigint) as lines,
        coalesce(sum(total), 0) as revenue
    from orders
),

current_files as (
    select count(*) as files, max(loaded_at) as loaded_at
    from loads
    where is_current
),

not_counted as (
    select
        count(*) as rejected,
        coalesce(sum(case when reason <> 'duplicate_row' then total end), 0)
            as revenue_not_counted
    from rejects
),

final as (
    select *
    from traded
    cross join current_files
    cross join not_counted
)

select * from final

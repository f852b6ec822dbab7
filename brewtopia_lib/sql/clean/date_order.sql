-- Fill ambiguous_rows, one row per raw row whose day and month may stand the other way round: in an
-- object where some date reads only with day and month swapped, a date that reads both ways is
-- ambiguous if, swapped, it lies nearer to the days of which the object leaves no doubt.
insert into ambiguous_rows
with swapped as (
    select
        rowid as row_no, object_no,
        try_strptime(trim(unread_time), getvariable('swapped_formats')) as swapped_at
    from raw
    where unread_time is not null
),
swapped_times as (select * from swapped where year(swapped_at) between 1990 and 2100),
mixed_objects as (
    select distinct object_no from swapped_times
),
mixed as (
    select
        raw.rowid as row_no, object_no, swapped_at,
        cast(sold_at as date) as day,
        day(sold_at) <= 12 and day(sold_at) <> month(sold_at) as reads_both_ways
    from raw
    semi join mixed_objects using (object_no)
    left join swapped_times on raw.rowid = swapped_times.row_no
),
certain_days as (
    select distinct object_no, coalesce(day, cast(swapped_at as date)) as certain_day
    from mixed
    where not coalesce(reads_both_ways, false) and (day is not null or swapped_at is not null)
),
doubtful_days as (
    select distinct
        object_no, day,
        case when reads_both_ways then make_date(year(day), day(day), month(day)) end as swapped_day
    from mixed
    where reads_both_ways
),
ambiguous_days as (
    select object_no, day
    from doubtful_days
    join certain_days using (object_no)
    group by object_no, day
    having min(abs(swapped_day - certain_day)) < min(abs(day - certain_day))
)
select row_no
from mixed
join ambiguous_days using (object_no, day)
where reads_both_ways;

update raw set sold_at = null where rowid in (select row_no from ambiguous_rows);

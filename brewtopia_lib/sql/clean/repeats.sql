-- One row per raw row that looks like another of its object: copies of a row, and equal orders told
-- apart; for feeds with one row per order.
-- Reads parsed, and suspects (each order_high that several good rows have).
create or replace temp table repeats as
with suspected as (
    select row_no, object_no, order_high, order_low
    from parsed
    semi join suspects using (order_high)
    where reason is null
),
copies as (
    select
        row_no, suspected.object_no, order_high, order_low,
        row_number() over (
            partition by suspected.object_no, order_high, order_low, row_hash order by row_no
        ) as copy
    from suspected
    join raw on suspected.row_no = raw.rowid
),
rejected as (
    select row_no from parsed where reason is not null
),
rejected_copies as (
    select
        row_no,
        row_number() over (partition by object_no, row_hash order by row_no) as copy
    from rejected
    join raw on rejected.row_no = raw.rowid
)
select row_no, true as is_copy, 1 as ordinal from copies where copy > 1
union all
select
    row_no, false,
    row_number() over (partition by object_no, order_high, order_low order by row_no)
from copies where copy = 1
union all
select row_no, true, 1 from rejected_copies where copy > 1;

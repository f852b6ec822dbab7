-- One row per raw row that looks like another of its object: copies of a row, and equal orders told
-- apart; for feeds with one row per order.
-- Reads parsed, and suspects (each order_high that several good rows have).
create or replace temp table repeats as
with rejected_suspects as (
    select object_no, row_hash from parsed
    where reason is not null group by object_no, row_hash having count(*) > 1
),
copies as (
    select
        row_no, object_no, order_high, order_low,
        row_number() over (
            partition by object_no, order_high, order_low, row_hash order by row_no
        ) as copy
    from parsed
    semi join suspects using (order_high)
    where reason is null
),
rejected_copies as (
    select
        row_no,
        row_number() over (partition by object_no, row_hash order by row_no) as copy
    from parsed
    semi join rejected_suspects using (object_no, row_hash)
    where reason is not null
)
select row_no, true as is_copy, 1 as ordinal from copies where copy > 1
union all
select
    row_no, false,
    row_number() over (partition by object_no, order_high, order_low order by row_no)
from copies where copy = 1
union all
select row_no, true, 1 from rejected_copies where copy > 1;

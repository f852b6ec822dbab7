-- One row per basket whose items are all good: what its lines come to, and its own two marks.
-- An item has other marks at each line number, so that they need no sorting and the order of the
-- lines still counts.
create or replace temp table basket_problems as
select
    basket_no,
    case when bool_or(problem = 'bad_price') then 'bad_price' else max(problem) end as problem
from basket_lines
join items using (item_no)
where problem is not null
group by basket_no;

delete from basket_lines where basket_no in (select basket_no from basket_problems);

create or replace temp table line_marks as
with pairs as (select distinct item_no, line_no from basket_lines),
digests as (
    select
        item_no, line_no, quantity, line_total,
        md5_number(concat_ws(':', high, low, line_no)) as digest
    from pairs
    join items using (item_no)
)
select
    item_no, line_no, quantity, line_total,
    cast(digest >> 65 as bigint) as high,
    cast(digest & 9223372036854775807 as bigint) as low
from digests;

create or replace temp table basket_sums as
select
    basket_no,
    cast(count(*) as integer) as line_count,
    cast(sum(quantity) as integer) as units,
    cast(sum(line_total) as decimal(12, 2)) as lines_total,
    bit_xor(high) as high,
    bit_xor(low) as low
from basket_lines
join line_marks using (item_no, line_no)
group by basket_no;

-- One row per basket whose items are all good: what its lines come to, and its own two marks.
-- The marks of its items are summed, weighted by line number and by its square, so that nothing
-- needs sorting and the order of the lines still counts; 2^59 - 55 is prime.
create or replace temp table basket_problems as
select
    basket_no,
    case when bool_or(problem = 'bad_price') then 'bad_price' else max(problem) end as problem
from basket_lines
join items using (item_no)
where problem is not null
group by basket_no;

delete from basket_lines where basket_no in (select basket_no from basket_problems);

create or replace temp table basket_sums as
with weighted as (
    select basket_no, item_no, 1 + line_no % 511 as weight
    from basket_lines
)
select
    basket_no,
    cast(count(*) as integer) as line_count,
    cast(sum(quantity) as integer) as units,
    cast(sum(line_total) as decimal(12, 2)) as lines_total,
    cast(sum(high * weight) % 576460752303423433 as bigint) as high,
    cast(sum(low * weight * weight) % 576460752303423433 as bigint) as low
from weighted
join items using (item_no)
group by basket_no;

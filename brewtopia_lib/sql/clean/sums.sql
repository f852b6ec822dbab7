-- One row per basket: what its lines come to, and a digest of them.
-- The digests of lines add up, so that nothing needs sorting; the line number inside each one
-- keeps their order.
create or replace temp table basket_sums as
with lines as (
    select
        *,
        md5_number(concat_ws(
            chr(31), line_no, quantity, unit_price, line_total, product, coalesce(size, ''),
            coalesce(flavour, '')
        )) as digest
    from basket_lines
)
select
    basket_no,
    case
        when bool_or(problem = 'bad_price') then 'bad_price'
        else max(problem)
    end as problem,
    cast(count(*) as integer) as line_count,
    cast(sum(quantity) as integer) as units,
    cast(sum(line_total) as decimal(12, 2)) as lines_total,
    md5(concat_ws(
        ':',
        count(*),
        sum(cast(digest >> 64 as ubigint)),
        sum(cast(digest & 18446744073709551615 as ubigint))
    )) as basket_id
from lines
group by basket_no;

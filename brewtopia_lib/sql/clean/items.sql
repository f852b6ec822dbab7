-- One row per line of each distinct items text, and one per distinct items text (baskets).
-- Reads basket_texts(basket_no, text), basket_pieces, items (each distinct piece, parsed) and
-- joined_lines (texts that only hold together when pieces are joined again).

create or replace temp table basket_lines as
with lines as (
    select basket_no, line_no, product, size, flavour, quantity, unit_price, line_total, problem
    from basket_pieces
    join items using (text)
    where basket_no not in (select basket_no from joined_lines)
    union all
    select basket_no, line_no, product, size, flavour, quantity, unit_price, line_total, problem
    from joined_lines
)
select
    *,
    md5_number(concat_ws(
        chr(31), line_no, quantity, unit_price, line_total, product, coalesce(size, ''),
        coalesce(flavour, '')
    )) as digest
from lines;

-- digests add up, so that no lines need sorting; the line number inside each keeps their order
create or replace temp table baskets as
with sums as (
    select
        basket_no,
        case
            when bool_or(problem = 'bad_price') then 'bad_price'
            else max(problem)
        end as problem,
        cast(sum(line_total) as decimal(12, 2)) as lines_total,
        concat_ws(
            ':',
            count(*),
            sum(cast(digest >> 64 as ubigint)),
            sum(cast(digest & 18446744073709551615 as ubigint))
        ) as digest
    from basket_lines
    group by basket_no
)
select
    basket_no,
    text,
    case when sums.basket_no is null then 'no_items' else problem end as problem,
    lines_total,
    digest,
    basket_no in (select basket_no from joined_lines) as is_joined
from basket_texts
left join sums using (basket_no);

delete from basket_lines
where basket_no in (select basket_no from baskets where problem is not null);

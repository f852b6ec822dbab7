-- One row per distinct items text; reads basket_texts, basket_sums and joined_lines.
create or replace temp table baskets as
select
    basket_no,
    text,
    case when basket_sums.basket_no is null then 'no_items' else problem end as problem,
    lines_total,
    basket_id,
    basket_no in (select basket_no from joined_lines) as is_joined
from basket_texts
left join basket_sums using (basket_no);

delete from basket_lines
where basket_no in (select basket_no from baskets where problem is not null);

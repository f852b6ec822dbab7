-- One row per distinct items text (basket_texts), and per piece of it between separators.
create or replace temp table items_texts as
select distinct items as text, items_key as key from raw;

-- numbered by its place in the table, which a window function would count on one core
create or replace temp view basket_texts as
select rowid as basket_no, text, key from items_texts;

create or replace temp view basket_pieces as
with split as (
    select
        basket_no,
        case
            when getvariable('separator') is null then [text]
            else string_split(text, getvariable('separator'))
        end as pieces
    from basket_texts
)
select basket_no, unnest(pieces) as text, generate_subscripts(pieces, 1) as line_no
from split;

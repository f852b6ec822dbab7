-- One row per distinct items text, with what it says between separators (basket_pieces). A basket has
-- its place in the table for a number, which a window function would count on one core.
create or replace temp table items_texts as
select distinct items as text, items_key as key from raw;

create or replace temp view basket_pieces as
select
    rowid as basket_no,
    case
        when getvariable('separator') is null then [text]
        else string_split(text, getvariable('separator'))
    end as pieces
from items_texts;

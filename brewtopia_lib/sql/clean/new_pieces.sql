-- One row per piece of the listed baskets that no sampled basket has, in their order.
with split as (
    select basket_no, unnest(pieces) as text, generate_subscripts(pieces, 1) as piece_no
    from basket_pieces
    semi join listed using (basket_no)
)
select text
from split
where try_cast(text as item_text) is null
order by basket_no, piece_no;

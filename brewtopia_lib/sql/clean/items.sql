-- One row per line of each distinct items text, those that are in doubt too.
-- Reads basket_pieces and items (each distinct piece, parsed).
create or replace temp table basket_lines as
select basket_no, line_no, item_no
from basket_pieces
join items using (text);

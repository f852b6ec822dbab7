-- One row per line of each distinct items text.
-- Reads basket_pieces, items (each distinct piece, parsed) and joined_lines (the lines of texts
-- that only hold together when pieces are joined again).
create or replace temp table basket_lines as
select basket_no, line_no, item_no
from basket_pieces
join items using (text)
anti join joined_lines using (basket_no)
union all
select basket_no, line_no, item_no
from joined_lines;

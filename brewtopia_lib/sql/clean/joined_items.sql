-- Lines of texts that only hold together when pieces are joined again, in place of their pieces.
-- Reads basket_lines and joined_lines.
delete from basket_lines where basket_no in (select basket_no from joined_lines);

insert into basket_lines select basket_no, line_no, item_no from joined_lines;

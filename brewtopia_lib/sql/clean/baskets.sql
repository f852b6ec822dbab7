-- One row per line of a basket, and one per basket: what its lines come to and its own two marks, or
-- what is wrong with it; where that is in doubt, it holds only if the till's total agrees.
create or replace temp table basket_lines (basket_no bigint, line_no integer, item_no bigint);

create or replace temp table baskets (
    key ubigint, basket_no bigint, line_count integer, units integer, lines_total decimal(12, 2),
    high bigint, low bigint, problem varchar, is_doubtful boolean
);

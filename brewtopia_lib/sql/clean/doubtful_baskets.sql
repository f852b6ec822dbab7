-- What holds together only where an item's name takes in a separator: the total must agree.
update baskets set is_doubtful = true where basket_no in (select basket_no from listed);

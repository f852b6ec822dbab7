-- One row per listed basket.
select basket_no, text
from items_texts
join listed on items_texts.rowid = basket_no
order by basket_no;

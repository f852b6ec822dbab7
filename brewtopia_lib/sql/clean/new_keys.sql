-- One row per distinct text, as before, with a key that no other text of its kind has.
update terms_texts set key = rowid;
update raw set terms_key = key from terms_texts where terms = text;

update items_texts set key = rowid;
update raw set items_key = key from items_texts where items = text;
update baskets set key = basket_no;

-- One row per distinct text, as before, with a key that no other text of its kind has.
update branch_texts set key = rowid;
update raw set branch_key = key from branch_texts
where raw.object_no = branch_texts.object_no and branch = text;

update tender_texts set key = rowid;
update raw set tender_key = key from tender_texts
where raw.payment = tender_texts.payment and raw.total = tender_texts.total;

update items_texts set key = rowid;
update raw set items_key = key from items_texts where items = text;
update baskets set key = basket_no;

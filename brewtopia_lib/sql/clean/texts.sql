-- One row per distinct branch text of an object, and per distinct pair of payment and total, each
-- with its key.
create or replace temp table branch_texts as
select distinct object_no, branch as text, branch_key as key from raw;

create or replace temp table tender_texts as
select distinct payment, total, tender_key as key from raw;

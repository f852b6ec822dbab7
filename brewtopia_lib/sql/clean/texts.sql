-- One row per distinct text of what an order is sold under, its key, and the texts it is made of.
create or replace temp table terms_texts as
with split as (
    select text, key, string_split(text, chr(0)) as parts
    from (select distinct terms as text, terms_key as key from raw)
)
select text, key, parts[1] as branch, parts[2] as payment, parts[3] as total
from split;

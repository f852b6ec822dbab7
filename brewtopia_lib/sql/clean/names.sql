-- Branches and payments as numbers with a name each, in the order of the names: what there are few
-- of is quicker to hold and to write. A type needs a name at least, even where there are no rows.
create or replace temp type branch_name as enum (
    select '' as name union select branch from branches where branch is not null order by name
);
alter table branches alter branch type branch_name;

create or replace temp type payment_name as enum (
    select 'UNKNOWN' as name union select payment from payments order by name
);
alter table payments alter payment type payment_name;

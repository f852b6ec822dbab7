-- One row per raw row that was rejected. A branch is named only where a good row of the same
-- object names it too: in a row gone wrong, what stands in its place may be a customer.
create or replace temp table clean_rejects as
with first_rows as (
    select object_no, min(rowid) as row_no from raw group by object_no
),
known_branches as (
    select distinct object_no, branch from clean_orders
)
select
    rejected_rows.object_no,
    coalesce(
        rejected_rows.line_number,
        object.first_line + rejected_rows.row_no - first_rows.row_no
    ) as line_number,
    case
        when rejected_rows.reason = 'bad_timestamp' and ambiguous_rows.row_no is not null
            then 'ambiguous_date'
        else rejected_rows.reason
    end as reason,
    case when known_branches.branch is not null or object.branch is not null
        then rejected_rows.branch end as branch,
    cast(rejected_rows.sold_at as date) as sold_on,
    rejected_rows.till_total as total,
    cast(null as bigint) as row_length
from rejected_rows
join object using (object_no)
join first_rows using (object_no)
left join known_branches
    on rejected_rows.object_no = known_branches.object_no
    and rejected_rows.branch = known_branches.branch
left join ambiguous_rows on rejected_rows.row_no = ambiguous_rows.row_no
union all
select object_no, line_number, reason, null, null, null, row_length
from broken;

-- one row per line of each basket
create or replace temp view clean_lines as
select basket_no, cast(line_no as integer) as line_no, item_no
from basket_lines;

-- one row per distinct item
create or replace temp view clean_items as
select item_no, product, size, flavour, quantity, unit_price, line_total
from items
where problem is null;

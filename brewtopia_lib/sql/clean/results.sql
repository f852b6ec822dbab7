-- One row per raw row that was rejected. A branch is named only where a good row of the same
-- object names it too: in a row gone wrong, what stands in its place may be a customer.
create or replace temp table clean_rejects as
with rejected as materialized (from rejected_rows),
first_rows as (
    select object_no, min(rowid) as row_no
    from raw
    semi join rejected using (object_no)
    group by object_no
),
known_branches as (
    select distinct object_no, branch
    from kept_orders
    semi join rejected using (object_no, branch)
)
select
    rejected.object_no,
    coalesce(
        rejected.line_number,
        object.first_line + rejected.row_no - first_rows.row_no
    ) as line_number,
    case
        when rejected.reason = 'bad_timestamp' and ambiguous_rows.row_no is not null
            then 'ambiguous_date'
        else rejected.reason
    end as reason,
    case when known_branches.branch is not null or object.branch is not null
        then rejected.branch end as branch,
    cast(rejected.sold_at as date) as sold_on,
    rejected.till_total as total,
    cast(null as bigint) as row_length
from rejected
join object using (object_no)
join first_rows using (object_no)
left join known_branches
    on rejected.object_no = known_branches.object_no
    and rejected.branch = known_branches.branch
left join ambiguous_rows on rejected.row_no = ambiguous_rows.row_no
union all
select object_no, line_number, reason, null, null, null, row_length
from broken;

-- one row per order
create or replace temp view clean_orders as
select * exclude (line_count) from kept_orders;

-- one row per line of each basket
create or replace temp view clean_lines as
from basket_lines;

-- one row per distinct item
create or replace temp view clean_items as
select item_no, product, size, flavour, quantity, unit_price, line_total
from items
where problem is null;

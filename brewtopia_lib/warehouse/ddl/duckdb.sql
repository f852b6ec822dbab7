-- The DuckDB warehouse: facts and dimensions beneath, business names in the views above; more of
-- these in duckdb_views.sql.
-- Money is pounds; sold_at is the branch's wall-clock time.

create table warehouse_format (number integer not null);

-- one row per order; its id is the two halves of a 126-bit digest
create table order_facts (
    order_high bigint not null,
    order_low bigint not null,
    branch varchar not null,
    sold_at timestamp not null,
    payment varchar not null,
    total decimal(12, 2) not null,
    lines_total decimal(12, 2) not null,
    line_count integer not null,
    units integer not null,
    total_matches boolean not null,
    basket_no bigint not null
);

-- one row per line of a basket, which is what one or more orders hold
create table basket_lines (
    basket_no bigint not null,
    line_no integer not null,
    item_no integer not null
);

-- one row per distinct item: what an order line can say
create table items (
    item_no integer not null,
    product varchar not null,
    size varchar,
    flavour varchar,
    quantity integer not null,
    unit_price decimal(12, 2) not null,
    line_total decimal(12, 2) not null
);

-- one row per current raw object x branch x day that it speaks of
create table object_days (
    source varchar not null,
    branch varchar not null,
    sold_on date not null
);

-- one row per branch x day x hour x product x size x flavour
create table hourly_sales (
    branch varchar not null,
    sold_on date not null,
    hour smallint not null,
    product varchar not null,
    size varchar,
    flavour varchar,
    units bigint not null,
    revenue decimal(12, 2) not null
);

-- one row per rejected raw row of a current raw object; never its text
create table rejects (
    source varchar not null,
    line_number bigint not null,
    reason varchar not null,
    branch varchar,
    sold_on date,
    total decimal(12, 2),
    row_length bigint
);

-- one row per raw object version; is_current marks the one that speaks now
create table loads (
    source varchar not null,
    version varchar not null,
    feed varchar,
    rows bigint not null,
    orders bigint not null,
    lines bigint not null,
    rejected bigint not null,
    revenue decimal(14, 2) not null,
    cleaned_at timestamp not null,
    loaded_at timestamp not null,
    is_current boolean not null,
    batch varchar not null
);

-- one row per order
create view orders as
select
    lpad(lower(hex(order_high)), 16, '0') || lpad(lower(hex(order_low)), 16, '0') as order_id,
    branch,
    sold_at,
    cast(sold_at as date) as sold_on,
    cast(hour(sold_at) as smallint) as hour,
    payment,
    total,
    lines_total,
    line_count,
    units,
    total_matches
from order_facts;

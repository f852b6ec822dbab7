-- The warehouse as an analyst sees it, as plain tables, so that tests can put any rows in.


-- one row per order line
create table sales (
    order_id varchar not null,
    line_no integer not null,
    branch varchar not null,
    sold_at timestamp not null,
    sold_on date not null,
    hour smallint not null,
    product varchar not null,
    size varchar,
    flavour varchar,
    quantity integer not null,
    unit_price decimal(12, 2) not null,
    line_total decimal(12, 2) not null,
    payment varchar not null
);

-- one row per order
create table orders (
    order_id varchar not null,
    branch varchar not null,
    sold_at timestamp not null,
    sold_on date not null,
    hour smallint not null,
    payment varchar not null,
    total decimal(12, 2) not null,
    lines_total decimal(12, 2) not null,
    line_count integer not null,
    units integer not null,
    total_matches boolean not null
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

-- one row per rejected raw row of a current file; never its text
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
    is_current boolean not null
);

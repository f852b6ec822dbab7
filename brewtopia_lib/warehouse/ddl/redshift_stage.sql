-- Where COPY puts the lake's files: columns in the order of the Parquet, since it goes by place.

create temp table stage_objects (
    batch varchar(64) not null,
    object_no integer not null,
    source varchar(4096) not null,
    version varchar(1024) not null,
    as_of timestamp not null,
    feed varchar(256),
    feed_digest varchar(128),
    feeds_digest varchar(128),
    rows bigint not null,
    orders bigint not null,
    lines bigint not null,
    rejected bigint not null,
    revenue decimal(14, 2) not null,
    cleaned_at timestamp not null
)
diststyle key distkey (source);

create temp table stage_orders (
    batch varchar(64) not null,
    object_no integer not null,
    order_high bigint not null,
    order_low bigint not null,
    branch varchar(480) not null,
    sold_at timestamp not null,
    payment varchar(480) not null,
    total decimal(12, 2) not null,
    total_matches boolean not null,
    basket_no bigint not null
)
diststyle key distkey (basket_no);

create temp table stage_lines (
    batch varchar(64) not null,
    basket_no bigint not null,
    line_no integer not null,
    item_no bigint not null
)
diststyle key distkey (basket_no);

create temp table stage_items (
    batch varchar(64) not null,
    item_no bigint not null,
    product varchar(480) not null,
    size varchar(480),
    flavour varchar(480),
    quantity integer not null,
    unit_price decimal(12, 2) not null,
    line_total decimal(12, 2) not null
)
diststyle even;

create temp table stage_rejects (
    batch varchar(64) not null,
    object_no integer not null,
    line_number bigint not null,
    reason varchar(64) not null,
    branch varchar(480),
    sold_on date,
    total decimal(12, 2),
    row_length bigint
)
diststyle even;

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

-- one row per distinct item
create view items as
select
    cast(row_number() over (
        order by product, size, flavour, quantity, unit_price, line_total
    ) as integer) as item_no,
    *
from (select distinct product, size, flavour, quantity, unit_price, line_total from sales);

-- one row per order with a line
create view order_contents as
select
    order_id,
    cast(dense_rank() over (order by content) as bigint) as basket_no,
    content
from (
    select order_id, list({line_no: line_no, item_no: item_no} order by line_no) as content
    from sales
    join items
        on (sales.product, sales.size, sales.flavour, sales.quantity, sales.unit_price)
        is not distinct from
        (items.product, items.size, items.flavour, items.quantity, items.unit_price)
    group by order_id
);

-- one row per line of a basket
create view basket_lines as
select basket_no, line.line_no as line_no, line.item_no as item_no
from (
    select basket_no, unnest(any_value(content)) as line
    from order_contents
    group by basket_no
);

-- one row per order, with the basket it holds
create view order_baskets as
select order_id, branch, sold_on, basket_no
from orders
join order_contents using (order_id);

-- The Redshift warehouse: facts and dimensions beneath, business names in the views above.
-- Money is pounds; sold_at is the branch's wall-clock time. A length of VARCHAR is in bytes:
-- a name has at most 120 letters, which are at most 480 bytes. No key is declared, since none is
-- enforced and the planner would trust it all the same.

-- one row per raw object version and batch of the lake: what every load locks first; no reader
-- needs it, so that none waits for a load
create table load_ledger (
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
diststyle key distkey (source) sortkey (source);

-- one row per order; its id is the two halves of a 126-bit digest
-- (sold_on is a column of its own: only so do the sorted blocks of other days stay unread)
create table order_facts (
    order_high bigint not null,
    order_low bigint not null,
    branch varchar(480) not null,
    sold_on date not null,
    sold_at timestamp not null,
    payment varchar(480) not null,
    total decimal(12, 2) not null,
    lines_total decimal(12, 2) not null,
    line_count integer not null,
    units integer not null,
    total_matches boolean not null,
    basket_no bigint not null
)
diststyle key distkey (basket_no) compound sortkey (sold_on, branch);

-- one row per line of a basket, which is what one or more orders hold
create table basket_lines (
    basket_no bigint not null,
    line_no integer not null,
    item_no integer not null
)
diststyle key distkey (basket_no) sortkey (basket_no);

-- one row per distinct item: what an order line can say
create table items (
    item_no integer not null,
    product varchar(480) not null,
    size varchar(480),
    flavour varchar(480),
    quantity integer not null,
    unit_price decimal(12, 2) not null,
    line_total decimal(12, 2) not null
)
diststyle all sortkey (item_no);

-- one row per current raw object x branch x day that it speaks of
create table object_days (
    source varchar(4096) not null,
    branch varchar(480) not null,
    sold_on date not null
)
diststyle key distkey (source) compound sortkey (sold_on, branch);

-- one row per branch x day x hour x product x size x flavour
create table hourly_sales (
    branch varchar(480) not null,
    sold_on date not null,
    hour smallint not null,
    product varchar(480) not null,
    size varchar(480),
    flavour varchar(480),
    units bigint not null,
    revenue decimal(12, 2) not null
)
diststyle even compound sortkey (sold_on, branch);

-- one row per rejected raw row of a current raw object; never its text
create table rejects (
    source varchar(4096) not null,
    line_number bigint not null,
    reason varchar(64) not null,
    branch varchar(480),
    sold_on date,
    total decimal(12, 2),
    row_length bigint
)
diststyle key distkey (source) sortkey (source);

-- one row per raw object version; is_current marks the one that speaks now
create table loads (
    source varchar(4096) not null,
    version varchar(1024) not null,
    feed varchar(256),
    rows bigint not null,
    orders bigint not null,
    lines bigint not null,
    rejected bigint not null,
    revenue decimal(14, 2) not null,
    cleaned_at timestamp not null,
    loaded_at timestamp not null,
    is_current boolean not null,
    batch varchar(64) not null
)
diststyle key distkey (source) sortkey (source);

-- one row per order
create view orders as
select
    lpad(to_hex(order_high), 16, '0') || lpad(to_hex(order_low), 16, '0') as order_id,
    branch,
    sold_at,
    sold_on,
    cast(extract(hour from sold_at) as smallint) as hour,
    payment,
    total,
    lines_total,
    line_count,
    units,
    total_matches
from order_facts;

-- one row per order line
create view sales as
select
    lpad(to_hex(order_facts.order_high), 16, '0') || lpad(to_hex(order_facts.order_low), 16, '0')
        as order_id,
    basket_lines.line_no,
    order_facts.branch,
    order_facts.sold_at,
    order_facts.sold_on,
    cast(extract(hour from order_facts.sold_at) as smallint) as hour,
    items.product,
    items.size,
    items.flavour,
    items.quantity,
    items.unit_price,
    items.line_total,
    order_facts.payment
from order_facts
inner join basket_lines on basket_lines.basket_no = order_facts.basket_no
inner join items on items.item_no = basket_lines.item_no;

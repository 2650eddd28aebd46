-- No unique keys but where they are meant: an effect done twice must show.
create table orders (id text not null, account text not null, sku text not null, total integer not null);
create table payments (order_id text not null, amount integer not null);
create table mails (order_id text not null);
create table sales (sku text primary key, orders integer not null, total integer not null);
create table postings (
    place integer primary key,
    account text not null,
    order_id text not null,
    amount integer not null,
    place_in_log integer not null
);

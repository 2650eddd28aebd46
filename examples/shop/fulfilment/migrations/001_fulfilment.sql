-- No unique keys but where they are meant: an effect done twice must show.
create table stock (sku text primary key, left_over integer not null check (left_over >= 0));
create table movements (order_id text not null, sku text not null, pieces integer not null);
create table parcels (order_id text not null);
insert into stock values ('lamp', 100000), ('chair', 100000), ('desk', 100000), ('unicorn', 0);

-- No unique keys: an effect that is done twice is a row that shows.
create table accepted (number integer);
create table booked (number integer);
create table counted (number integer);
create table posted (number integer, account text, place text, at integer);

create table done (what text not null, number integer not null);

create table effects (what text not null, of text not null);

-- Names stand apart from the people they belong to, beside the keys of what is sealed: together
-- these two tables are all that makes a person readable, they are left out of the long-kept dumps
-- (decision 0039), and whoever is erased is erased there.
create table holder_names (
    holder_id uuid primary key,
    bank text not null,
    name_latin text not null check (name_latin <> ''),
    name_khmer text not null check (name_khmer <> '')
);
select smartid_table('holder_names');
select smartid_wall('holder_names');
insert into holder_names (holder_id, bank, name_latin, name_khmer)
select id, bank, name_latin, name_khmer from holders;
alter table holders drop column name_latin, drop column name_khmer;

-- A person whose fields were erased keeps their row: the ledger's accounts belong to it.
alter table holders add column erased_at timestamptz;

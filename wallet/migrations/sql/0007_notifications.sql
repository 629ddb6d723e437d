-- What each holder was told; one row per event, so an event is told once.
create table inbox (
    id bigint generated always as identity primary key,
    bank text not null,
    holder_id uuid not null,
    event_seq bigint not null unique,
    body jsonb not null,
    at timestamptz not null
);
create index inbox_holder on inbox (holder_id, id);
select smartid_table('inbox');
select smartid_wall('inbox');

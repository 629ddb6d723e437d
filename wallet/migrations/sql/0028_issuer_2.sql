-- A holder who freezes their own Smart ID may keep its virtual cards going.
alter table smart_ids add column cards_kept boolean not null default false;
alter table smart_ids add constraint smart_ids_cards_kept_by_holder
    check (not cards_kept or payment_state = 'FROZEN' and frozen_by = 'HOLDER');

-- An agency that reports who left ends their Smart ID, and with it that choice.
select smartid_open('smart_ids'::regclass, 'agency', 'select (cards_kept), update (cards_kept)');

-- What a demonstration's processes share, one row: how far its clock was advanced, and how many of
-- the next messages of its imagined network meet which fault. Never read in production. Written by
-- wallet.simulation, as is what the imagined token service remembers.
create table simulation (
    one boolean primary key default true check (one),
    ahead_s bigint not null default 0 check (ahead_s >= 0),
    duplicate integer not null default 0 check (duplicate >= 0),
    late integer not null default 0 check (late >= 0),
    lost_answer integer not null default 0 check (lost_answer >= 0)
);
select smartid_table('simulation');
revoke delete on simulation from smartid_app;
create table simulation_tokens (
    ref uuid primary key,
    state text not null,
    version integer not null
);
select smartid_table('simulation_tokens');
revoke delete on simulation_tokens from smartid_app;

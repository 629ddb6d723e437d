-- The journal is followed by `seq`, which has no order of its own on disk but the one it was
-- written in: a range index, whose cost at writing could not be measured (decision 0026).
create index if not exists transfers_written on transfers using brin (seq)
    with (pages_per_range = 32, autosummarize = on);
grant select on sequence transfers_seq_seq, audit_seq_seq to smartid_app;

-- How far each log is sealed: every row up to (xid, seq). Rows not yet sealed have a seq above
-- floor_seq; once everything up to coming_xid is sealed, one above coming_seq. The one writer of
-- the chain holds these rows.
create table seal_positions (
    log smallint primary key check (log in (1, 2)),
    xid xid8 not null default '0',
    seq bigint not null default 0,
    entries bigint not null default 0,
    floor_seq bigint not null default 0,
    coming_xid xid8 not null default '0',
    coming_seq bigint not null default 0
);
insert into seal_positions (log) values (1), (2);
select smartid_table('seal_positions');
revoke insert, delete on seal_positions from smartid_app;

-- One sealed batch: the fields of its header, and the leaf hashes its root is made of. lowest_seq
-- and highest_seq only help finding its rows.
create table seals (
    number bigint primary key check (number > 0),
    version smallint not null,
    previous bytea not null check (length(previous) = 32),
    log smallint not null check (log in (1, 2)),
    position bigint not null,
    entries integer not null check (entries > 0),
    last_xid xid8 not null,
    last_seq bigint not null,
    lowest_seq bigint not null,
    highest_seq bigint not null,
    root bytea not null check (length(root) = 32),
    sealed_at timestamptz not null,
    leaves bytea not null,
    constraint seals_leaves check (length(leaves) = entries * 32)
);
alter table seals alter column leaves set storage external; -- hashes do not compress
create unique index seals_ends on seals (log, last_xid, last_seq);
select smartid_append_only('seals');

-- Signed outside the sealing transaction: a key store may be far away.
create table seal_signatures (
    number bigint primary key,
    key_id text not null,
    signature bytea not null check (length(signature) = 64),
    signed_at timestamptz not null
);
select smartid_append_only('seal_signatures');

-- Every public key that ever signed, for the published list.
create table seal_keys (
    key_id text primary key,
    public_key bytea not null check (length(public_key) = 32),
    first_used_at timestamptz not null
);
select smartid_append_only('seal_keys');

-- Up to which seal `smartid prove` found everything right.
create table seal_verified (
    one boolean primary key default true check (one),
    number bigint not null,
    header_hash bytea not null,
    at timestamptz not null
);
select smartid_table('seal_verified');

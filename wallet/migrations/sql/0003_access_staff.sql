-- Staff who sign in with passphrase and time code, what two of them approve together, and the
-- banks' ATM hosts. Written by wallet.access.staff, .approvals and .atm_hosts.

create table staff (
    id uuid primary key,
    kind text not null check (kind in ('agency_officer', 'bank_clerk', 'support')),
    login text not null unique check (login ~ '^[a-z0-9][a-z0-9._-]{2,63}$'),
    name text not null check (name <> ''),
    passphrase_hash text not null check (passphrase_hash like '$argon2id$%'),
    totp_sealed bytea not null,
    -- the newest time step a code was accepted for: a code is good once
    last_step bigint not null default 0,
    failures integer not null default 0 check (failures >= 0),
    locked_until timestamptz,
    roles text[] not null
        check (roles <@ array['maker', 'checker', 'agent', 'supervisor'] and roles <> '{}'),
    bank text references banks (id),
    agency text references agencies (id),
    created_at timestamptz not null,
    disabled_at timestamptz,
    check ((kind = 'bank_clerk') = (bank is not null)),
    check ((kind = 'agency_officer') = (agency is not null))
);
select smartid_table('staff');
revoke delete on staff from smartid_app;

-- Only the hash of a token is kept: a dump of this table opens no door. One session a person.
create table staff_sessions (
    token_hash bytea primary key check (octet_length(token_hash) = 32),
    staff_id uuid not null unique references staff (id),
    created_at timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at timestamptz not null
);
select smartid_table('staff_sessions');

create table approvals (
    id uuid primary key,
    bank text not null, -- '*' where the act spans banks: an agency's salary run
    act text not null,
    subject text not null,
    payload_hash bytea not null check (octet_length(payload_hash) = 32),
    maker_id uuid not null references staff (id),
    checker_id uuid references staff (id),
    state text not null check (state in ('REQUESTED', 'APPROVED', 'EXECUTED', 'EXPIRED')),
    requested_at timestamptz not null,
    expires_at timestamptz not null,
    approved_at timestamptz,
    executed_at timestamptz,
    constraint approvals_four_eyes check (maker_id <> checker_id),
    check (state not in ('APPROVED', 'EXECUTED') or checker_id is not null),
    check ((checker_id is null) = (approved_at is null)),
    check ((state = 'EXECUTED') = (executed_at is not null))
);
create unique index approvals_one_open on approvals (act, subject)
    where state in ('REQUESTED', 'APPROVED');
select smartid_table('approvals');
revoke delete on approvals from smartid_app;
select smartid_wall('approvals');

-- Keys of the banks' ATM hosts: the bank keeps the private half of an Ed25519 pair, or shares an
-- HMAC secret that stands here sealed. Two live keys a bank, so that one can be changed in service.
create table atm_keys (
    keyid text primary key check (keyid ~ '^[A-Za-z0-9._:-]{1,64}$'),
    bank text not null references banks (id),
    slot smallint not null check (slot in (1, 2)),
    alg text not null check (alg in ('ed25519', 'hmac-sha256')),
    public_key bytea check (octet_length(public_key) = 32),
    secret_sealed bytea,
    created_at timestamptz not null,
    retired_at timestamptz,
    check ((alg = 'ed25519') = (public_key is not null)),
    check ((alg = 'hmac-sha256') = (secret_sealed is not null))
);
create unique index atm_keys_two_live on atm_keys (bank, slot) where retired_at is null;
select smartid_table('atm_keys');
revoke delete on atm_keys from smartid_app;
select smartid_wall('atm_keys');

create table atm_terminals (
    bank text not null references banks (id),
    terminal text not null check (terminal ~ '^[A-Za-z0-9._-]{1,16}$'),
    place text not null,
    added_at timestamptz not null,
    removed_at timestamptz,
    primary key (bank, terminal)
);
select smartid_table('atm_terminals');
select smartid_wall('atm_terminals');

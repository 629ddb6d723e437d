-- Machines that sign: a bank's ATM host, a bank's own systems, an agency's own systems. Two live
-- keys each, so that one can be changed in service; the older of two may end by itself.
alter table atm_keys rename to machine_keys;
alter table machine_keys
    add column kind text not null default 'atm' check (kind in ('atm', 'bank', 'agency')),
    add column agency text references agencies (id),
    add column ends_at timestamptz,
    alter column bank drop not null,
    add check ((kind = 'agency') = (agency is not null)),
    add check ((kind = 'agency') = (bank is null));
alter table machine_keys alter column kind drop default;
drop index atm_keys_two_live;
create unique index machine_keys_two_live
    on machine_keys (kind, coalesce(bank, agency), slot) where retired_at is null;

-- Client certificates as the edge sees them: the SHA-256 of the DER. Public facts, no secret.
create table machine_certificates (
    fingerprint bytea primary key check (octet_length(fingerprint) = 32),
    kind text not null check (kind in ('atm', 'bank', 'agency')),
    bank text references banks (id),
    agency text references agencies (id),
    added_at timestamptz not null,
    removed_at timestamptz,
    check ((kind = 'agency') = (agency is not null)),
    check ((kind = 'agency') = (bank is null))
);
create index machine_certificates_whose
    on machine_certificates (kind, coalesce(bank, agency)) where removed_at is null;
select smartid_table('machine_certificates');
revoke delete on machine_certificates from smartid_app;
select smartid_wall('machine_certificates');

-- Nonces of signed requests: the last line behind Redis. A signature lives a minute; what is older
-- than the longest replay window is taken away as new ones come in.
create table machine_nonces (
    keyid text not null,
    nonce text not null check (length(nonce) <= 128),
    spent_at timestamptz not null,
    primary key (keyid, nonce)
);
create index machine_nonces_old on machine_nonces (spent_at);
select smartid_table('machine_nonces');

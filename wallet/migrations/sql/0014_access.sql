-- What a phone's maker says of its key (Android key attestation, App Attest): kept as it came.
alter table pairings add column attestation bytea check (octet_length(attestation) <= 16384);
alter table devices add column attestation bytea check (octet_length(attestation) <= 16384);

-- What was moved on the phone's signatures alone since its last right code. Room beside each row, so
-- that the sums move no index entry (HOT).
alter table devices
    add column unproven_khr bigint not null default 0 check (unproven_khr >= 0),
    add column unproven_usd bigint not null default 0 check (unproven_usd >= 0),
    set (fillfactor = 60);

-- A session has a name of its own, so that it can be listed and ended without its token.
alter table sessions add column id uuid not null default gen_random_uuid();
create unique index sessions_by_id on sessions (id);

-- Codes that stand in for a lost authenticator, as keyed hashes; and which wrong tries were counted,
-- so that a request sent again counts once.
alter table otp_standing
    add column recovery bytea[] not null default '{}' check (cardinality(recovery) <= 10),
    add column wrong_seen bytea[] not null default '{}' check (cardinality(wrong_seen) <= 8);

-- A holder's telephone number on its way to another: by card and PIN, or by two clerks.
create table number_changes (
    id uuid primary key,
    bank text not null references banks (id),
    holder_id uuid not null references holders (id),
    -- sealed under the person's own key; the former one is kept for the message that tells it
    number_sealed bytea not null,
    former_sealed bytea,
    state text not null check (state in ('REQUESTED', 'DONE', 'REPLACED')),
    channel text not null check (channel in ('atm', 'branch')),
    requested_at timestamptz not null,
    done_at timestamptz,
    check ((state = 'DONE') = (done_at is not null))
);
create index number_changes_by_holder on number_changes (holder_id, requested_at);
create unique index number_changes_one_requested on number_changes (holder_id)
    where state = 'REQUESTED';
select smartid_table('number_changes');
revoke delete on number_changes from smartid_app;
select smartid_wall('number_changes');

-- Callers are also told how far their phone has gone on signatures alone, and since when they are in.
drop function sessions_named(bytea[]);
create function sessions_named(hashes bytea[])
returns table (token_hash bytea, id uuid, holder_id uuid, device_id uuid, bank text, language text,
               created_at timestamptz, last_seen_at timestamptz, expires_at timestamptz,
               cooling_until timestamptz, unproven_khr bigint, unproven_usd bigint,
               database_now timestamptz)
language sql stable security definer set search_path = public, pg_temp as $$
    -- the few sessions first: from "phones that are active" no plan should ever begin
    with shown as materialized (select * from sessions where token_hash = any(hashes))
    select s.token_hash, s.id, s.holder_id, s.device_id, s.bank, h.language, s.created_at,
           s.last_seen_at, s.expires_at, d.cooling_until, d.unproven_khr, d.unproven_usd,
           clock_timestamp()
    from shown s
    join devices d on d.id = s.device_id
    join holders h on h.id = s.holder_id
    where d.state = 'ACTIVE'
$$;
revoke execute on function sessions_named(bytea[]) from public;
grant execute on function sessions_named(bytea[]) to smartid_app;

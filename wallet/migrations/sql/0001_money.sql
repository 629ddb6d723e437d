-- Roles and the three ways a table is opened to the application.
-- smartid_app has no DDL; it reads and writes through these grants alone.
do $$ begin
    create role smartid_app nologin;
exception when duplicate_object or unique_violation then null;
end $$;
do $$ begin
    execute format('grant smartid_app to %I', current_user);
exception when invalid_grant_operation then null;
end $$;
grant usage on schema public to smartid_app;

create function smartid_table(name regclass) returns void language plpgsql as $$
begin
    execute format('grant select, insert, update, delete on %s to smartid_app', name);
end $$;

create function smartid_refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;

create function smartid_append_only(name regclass) returns void language plpgsql as $$
begin
    execute format('grant select, insert on %s to smartid_app', name);
    execute format(
        'create trigger append_only before update or delete or truncate on %s
         for each statement execute function smartid_refuse_change()', name);
end $$;

-- Row-level security by bank: a Work sees its own bank's rows; '*' is a Work across banks.
create function smartid_wall(name regclass) returns void language plpgsql as $$
begin
    execute format('alter table %s enable row level security', name);
    execute format(
        'create policy wall on %s using (
             bank = (select current_setting(''smartid.bank'', true))
             or (select current_setting(''smartid.bank'', true)) = ''*'')', name);
end $$;

-- Accounts: four counters, never a signed balance. A floor account may not go below zero,
-- pending counted.
create table accounts (
    id bigint generated always as identity primary key,
    bank text not null,
    kind text not null,
    currency text not null check (currency in ('KHR', 'USD')),
    detail text not null default '',
    holder_id uuid,
    number text unique,
    has_floor boolean not null,
    debits_pending bigint not null default 0 check (debits_pending >= 0),
    debits_posted bigint not null default 0 check (debits_posted >= 0),
    credits_pending bigint not null default 0 check (credits_pending >= 0),
    credits_posted bigint not null default 0 check (credits_posted >= 0),
    opened_at timestamptz not null,
    closed_at timestamptz,
    constraint accounts_floor
        check (not has_floor or debits_pending + debits_posted <= credits_posted)
) with (fillfactor = 60);
create unique index accounts_house on accounts (bank, kind, currency, detail)
    where holder_id is null;
create unique index accounts_wallet on accounts (holder_id, currency) where holder_id is not null;
select smartid_table('accounts');
revoke delete on accounts from smartid_app;
select smartid_wall('accounts');

-- Transfers: one amount from one debit to one credit account; never changed, never deleted.
-- No foreign keys to accounts: the book writes only ids it has read, and `prove` looks for orphans.
create table transfers (
    id uuid primary key,
    seq bigint generated always as identity,
    bank text not null,
    phase text not null check (phase in ('posted', 'hold', 'capture', 'void', 'expiry')),
    kind text not null,
    debit_account_id bigint not null,
    credit_account_id bigint not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null check (currency in ('KHR', 'USD')),
    pending_id uuid,
    expires_at timestamptz,
    reference uuid,
    at timestamptz not null,
    xid xid8 not null default pg_current_xact_id(),
    constraint transfers_two_accounts check (debit_account_id <> credit_account_id),
    constraint transfers_phase_fields check (
        (phase = 'hold') = (expires_at is not null)
        and (phase in ('capture', 'void', 'expiry')) = (pending_id is not null))
);
create unique index transfers_one_resolution on transfers (pending_id)
    where pending_id is not null;
create index transfers_debits on transfers (debit_account_id, seq);
create index transfers_credits on transfers (credit_account_id, seq);
select smartid_append_only('transfers');
select smartid_wall('transfers');

-- Holds not yet resolved: a work list beside the journal, proved against it.
create table open_holds (
    id uuid primary key,
    bank text not null,
    expires_at timestamptz not null
);
create index open_holds_expiry on open_holds (expires_at, id);
select smartid_table('open_holds');
select smartid_wall('open_holds');

-- One effect per caller, act and key; the stored answer comes back on a repeat.
create table idempotency (
    caller text not null,
    act text not null,
    key text not null,
    fingerprint bytea not null,
    answer jsonb,
    at timestamptz not null,
    primary key (caller, act, key)
);
select smartid_table('idempotency');

-- Events: written with the fact; read in commit order below pg_snapshot_xmin.
create table events (
    xid xid8 not null default pg_current_xact_id(),
    seq bigint generated always as identity,
    bank text not null,
    holder_id uuid not null,
    kind text not null,
    body jsonb not null,
    at timestamptz not null,
    primary key (xid, seq)
);
select smartid_append_only('events');

create table event_positions (
    consumer text primary key,
    xid xid8 not null,
    seq bigint not null
);
select smartid_table('event_positions');

-- Who did or saw what, for whom, why.
create table audit (
    seq bigint generated always as identity primary key,
    at timestamptz not null,
    actor_kind text not null,
    actor_id text not null,
    bank text,
    act text not null,
    subject text not null,
    holder_id uuid,
    reason text,
    case_number text,
    xid xid8 not null default pg_current_xact_id()
);
create index audit_holder on audit (holder_id, seq) where holder_id is not null;
select smartid_append_only('audit');

-- Durable background work, enqueued in the transaction that wants it.
create table jobs (
    id uuid primary key,
    name text not null,
    payload jsonb not null,
    run_at timestamptz not null,
    failures integer not null default 0,
    lease integer not null default 0,
    leased_until timestamptz,
    dead boolean not null default false,
    last_error text,
    dedupe text unique,
    at timestamptz not null
);
create index jobs_due on jobs (run_at) where not dead;
select smartid_table('jobs');
create index events_holder on events (holder_id, xid desc, seq desc);

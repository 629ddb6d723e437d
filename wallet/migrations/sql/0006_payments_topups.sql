-- Top-ups: one row from the hold to its end. Written by wallet.topups alone.

create table topups (
    -- the intent's id, the hold's id, and the reference the provider knows: one name for one act
    id uuid primary key,
    bank text not null,
    holder_id uuid not null,
    operator text not null check (operator <> ''),
    -- in clear: it is sent to the provider and compared with the last minute's top-ups;
    -- answers and events carry it masked
    msisdn text not null check (msisdn ~ '^\+855[0-9]{8,9}$'),
    product text not null,
    currency text not null check (currency in ('KHR', 'USD')),
    amount_minor bigint not null check (amount_minor > 0),
    -- airtime that reaches the phone, US cents
    delivered_minor bigint not null check (delivered_minor > 0),
    state text not null check (state in (
        'HELD', 'SENT', 'UNKNOWN', 'SUCCEEDED', 'FAILED', 'REVERSED', 'RECOVERY')),
    sent_at timestamptz,
    lookups integer not null default 0 check (lookups >= 0),
    provider_ref text,
    reason text,
    -- the transfer that captured or released the hold, and the one that came after an ending
    resolved_by uuid,
    amended_by uuid,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint topups_sent_once check (
        case state
            when 'HELD' then sent_at is null
            when 'FAILED' then true
            else sent_at is not null
        end),
    constraint topups_resolved check (
        (resolved_by is null) = (state in ('HELD', 'SENT', 'UNKNOWN'))),
    constraint topups_amended check (
        (amended_by is not null) = (state in ('REVERSED', 'RECOVERY'))),
    constraint topups_reason check (reason is not null or state <> 'FAILED')
);
create index topups_holder on topups (holder_id, id desc);
-- a tap repeated within a minute, and the numbers a holder knows
create index topups_number on topups (holder_id, msisdn, created_at desc);
create index topups_unresolved on topups (bank, updated_at)
    where state in ('HELD', 'SENT', 'UNKNOWN');
select smartid_table('topups');
revoke delete on topups from smartid_app;
select smartid_wall('topups');

-- What sets a transfer apart from a plain one, what was asked where less was moved, and the
-- transfer it belongs to (of a tombstone: the reversal that came first).
alter table transfers
    add column how text,
    add column requested_minor bigint,
    add column original_id uuid,
    drop constraint transfers_phase_check,
    drop constraint transfers_amount_minor_check,
    drop constraint transfers_phase_fields;
alter table transfers
    add constraint transfers_phase_check check (phase in
        ('posted', 'hold', 'capture', 'void', 'expiry', 'close', 'tombstone')),
    add constraint transfers_how_check check (how in
        ('balancing_debit', 'balancing_credit', 'balancing_both', 'forced', 'late', 'excess',
         'shortfall', 'reversal', 'forced_reversal')),
    -- Nothing is moved by a closing, by its end, and by a forced post of an empty or closed wallet.
    add constraint transfers_amount_minor_check check (
        amount_minor > 0
        or (amount_minor = 0 and (phase in ('close', 'void')
                                  or how in ('forced', 'late', 'forced_reversal')))),
    add constraint transfers_phase_fields check (
        (phase = 'hold') = (expires_at is not null)
        and (phase in ('capture', 'void', 'expiry')) = (pending_id is not null)),
    add constraint transfers_requested check (
        (requested_minor is not null)
        = (how is not null and how not in ('excess', 'shortfall', 'reversal'))
        and (requested_minor is null or requested_minor >= amount_minor)),
    add constraint transfers_original check (
        (original_id is not null)
        = (phase = 'tombstone' or coalesce(how, '') in
           ('late', 'excess', 'shortfall', 'reversal', 'forced_reversal'))
        and original_id <> id);
create index transfers_originals on transfers (original_id) where original_id is not null;

-- A closing stands open without an end.
alter table open_holds alter column expires_at drop not null;

-- How much of a transfer has been given back: one counter, locked before it is decided on.
create table reversals (
    original_id uuid primary key,
    bank text not null,
    original_minor bigint not null,
    returned_minor bigint not null check (returned_minor > 0),
    constraint reversals_never_above check (returned_minor <= original_minor)
);
select smartid_table('reversals');
revoke delete on reversals from smartid_app;
select smartid_wall('reversals');

-- A case for every forced transfer that its account could not pay: suspense stands in, by name.
create table shortfalls (
    transfer_id uuid primary key,
    forced_id uuid not null unique,
    bank text not null,
    account_id bigint not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null check (currency in ('KHR', 'USD')),
    cause text not null check (cause in ('insufficient_funds', 'account_closed')),
    at timestamptz not null
);
create index shortfalls_account on shortfalls (account_id, at);
select smartid_append_only('shortfalls');
select smartid_wall('shortfalls');

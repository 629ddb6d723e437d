-- Holidays are yearly data; working days are Monday to Friday without them.
create table public_holidays (
    day date primary key,
    name text not null
);
select smartid_table('public_holidays');

create sequence dispute_numbers;
grant usage on sequence dispute_numbers to smartid_app;

-- One case a transaction. original = recovered + written off + denied + remaining, always.
create table disputes (
    id uuid primary key,
    case_number text not null unique,
    bank text not null,
    holder_id uuid not null,
    transfer_id uuid not null unique,
    reason text not null,
    statement text not null,
    state text not null check (state in ('OPEN', 'CLOSED')),
    disposition text
        check (disposition in ('WON', 'PARTIALLY_WON', 'DENIED', 'WITHDRAWN')),
    currency text not null check (currency in ('KHR', 'USD')),
    original_minor bigint not null check (original_minor > 0),
    recovered_minor bigint not null default 0 check (recovered_minor >= 0),
    written_off_minor bigint not null default 0 check (written_off_minor >= 0),
    denied_minor bigint not null default 0 check (denied_minor >= 0),
    remaining_minor bigint not null check (remaining_minor >= 0),
    answer_by date not null,
    opened_at timestamptz not null,
    closed_at timestamptz,
    constraint disputes_liability check (
        original_minor = recovered_minor + written_off_minor + denied_minor + remaining_minor),
    constraint disputes_closed check (
        (state = 'CLOSED') = (closed_at is not null)
        and (state = 'CLOSED') = (disposition is not null)
        and (state = 'OPEN' or remaining_minor = 0))
);
create index disputes_holder on disputes (holder_id, opened_at);
create index disputes_due on disputes (answer_by, id) where state = 'OPEN';
select smartid_table('disputes');
revoke delete on disputes from smartid_app;
select smartid_wall('disputes');

create table dispute_events (
    seq bigint generated always as identity primary key,
    bank text not null,
    dispute_id uuid not null references disputes (id),
    kind text not null check (kind in ('WORKFLOW', 'FINANCIAL', 'LIABILITY')),
    what text not null,
    amount_minor bigint,
    actor text not null,
    detail text,
    at timestamptz not null
);
create index dispute_events_of on dispute_events (dispute_id, seq);
select smartid_append_only('dispute_events');
select smartid_wall('dispute_events');

-- A refund is asked for by one person and, above the threshold, approved by another.
create table refunds (
    id uuid primary key,
    bank text not null,
    dispute_id uuid not null references disputes (id),
    amount_minor bigint not null check (amount_minor > 0),
    source text not null check (source in ('COUNTERPARTY', 'BANK')),
    why text not null,
    state text not null check (state in ('REQUESTED', 'PAID', 'LAPSED')),
    maker uuid not null,
    checker uuid,
    approval_id uuid,
    transfer_id uuid unique,
    at timestamptz not null,
    paid_at timestamptz,
    constraint refunds_four_eyes check (maker <> checker),
    constraint refunds_two_persons check (
        state <> 'PAID' or approval_id is null or checker is not null),
    constraint refunds_paid check ((state = 'PAID') = (transfer_id is not null))
);
create index refunds_of on refunds (dispute_id, at);
create unique index refunds_one_waits on refunds (dispute_id) where state = 'REQUESTED';
select smartid_table('refunds');
revoke delete on refunds from smartid_app;
select smartid_wall('refunds');

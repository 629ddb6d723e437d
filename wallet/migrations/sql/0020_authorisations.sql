-- Purchases with cards, one row for each, made by whichever of its messages comes first: a reversal
-- that overtook its authorisation too. Written by wallet.authorisations.records.
create table authorisations (
    id uuid primary key,
    bank text not null,
    -- what the network calls its first message
    key text not null check (char_length(key) between 1 and 200),
    network text not null,
    -- nobody's, where the network asked for a card that is not ours
    holder_id uuid,
    card_id uuid,
    -- the first card of its chain: what limits and controls hang on, whatever number was used
    lineage uuid,
    account_id bigint,
    last_four text,
    channel text not null,
    merchant_id text not null,
    merchant_name text not null,
    mcc text not null,
    country text not null,
    at timestamptz not null,
    check ((card_id is null) = (holder_id is null)),
    check ((card_id is null) = (account_id is null)),
    check ((card_id is null) = (lineage is null))
);
create unique index authorisations_once on authorisations (bank, key);
create index authorisations_by_holder on authorisations (holder_id, at desc, id desc)
    where holder_id is not null;
select smartid_append_only('authorisations');
select smartid_wall('authorisations');

-- What happened to each, in order. Where it stands is what its last event says; a status is
-- derived from that and stands nowhere. Two transactions that saw the same event cannot both
-- write the next.
create table authorisation_events (
    authorisation_id uuid not null,
    place integer not null check (place > 0),
    id uuid not null unique,
    bank text not null,
    kind text not null,
    -- the message's own key with its class; what it said; what was answered, byte for byte
    message_key text not null,
    fingerprint bytea not null,
    answer bytea not null,
    reason text,
    -- the amount of this event: to the holder, as settled, at the shop's till; the fee on top
    cardholder_minor bigint not null check (cardholder_minor >= 0),
    cardholder_currency text not null check (cardholder_currency in ('KHR', 'USD')),
    settlement_minor bigint not null check (settlement_minor >= 0),
    settlement_currency text not null check (settlement_currency in ('KHR', 'USD')),
    merchant_minor bigint not null check (merchant_minor >= 0),
    merchant_currency text not null,
    fee_minor bigint not null check (fee_minor >= 0),
    -- of what moved money: its transfer, what the wallet paid or got, what suspense stood in for
    transfer_id uuid,
    paid_minor bigint not null check (paid_minor >= 0),
    short_minor bigint not null check (short_minor >= 0),
    -- where the purchase stands after it
    standing jsonb not null,
    at timestamptz not null,
    primary key (authorisation_id, place)
);
create unique index authorisation_events_once on authorisation_events (bank, message_key);
select smartid_append_only('authorisation_events');
select smartid_wall('authorisation_events');

-- What is still held: a work list beside the events, proved against them.
create table open_authorisations (
    id uuid primary key,
    bank text not null,
    key text not null,
    expires_at timestamptz not null
);
create index open_authorisations_expiry on open_authorisations (expires_at, id);
select smartid_table('open_authorisations');
select smartid_wall('open_authorisations');

-- What was taken beyond what had been allowed, and whatever else somebody must look at.
create table authorisation_cases (
    id uuid primary key,
    seq bigint generated always as identity,
    bank text not null,
    authorisation_id uuid not null,
    event_id uuid not null unique,
    holder_id uuid,
    cause text not null,
    -- beyond what was allowed, and how much of it suspense stands in for
    beyond_minor bigint not null check (beyond_minor >= 0),
    short_minor bigint not null check (short_minor >= 0),
    currency text not null check (currency in ('KHR', 'USD')),
    at timestamptz not null
);
create unique index authorisation_cases_newest on authorisation_cases (bank, seq);
select smartid_append_only('authorisation_cases');
select smartid_wall('authorisation_cases');

-- How a wallet is usually spent from with cards. Written by wallet.authorisations.habits.
create table purchase_habits (
    account_id bigint primary key,
    bank text not null,
    purchases integer not null check (purchases >= 0),
    spent_minor bigint not null check (spent_minor >= 0),
    countries text[] not null,
    hour_began timestamptz not null,
    in_hour integer not null check (in_hour >= 0)
);
select smartid_table('purchase_habits');
select smartid_wall('purchase_habits');

-- A purchase out of pattern, put to its holder. Written by wallet.authorisations.habits.
create table purchase_challenges (
    id uuid primary key,
    bank text not null,
    holder_id uuid not null,
    account_id bigint not null,
    card_id uuid not null,
    last_four text not null,
    merchant_id text not null,
    merchant_name text not null,
    country text not null,
    settlement_minor bigint not null check (settlement_minor > 0),
    settlement_currency text not null check (settlement_currency in ('KHR', 'USD')),
    rule text not null,
    made_at timestamptz not null,
    -- until when the holder may say yes, and the shop ask again
    ends_at timestamptz not null,
    confirmed_at timestamptz,
    used_by uuid,
    check (used_by is null or confirmed_at is not null)
);
create index purchase_challenges_of on purchase_challenges (account_id, ends_at);
select smartid_table('purchase_challenges');
revoke delete on purchase_challenges from smartid_app;
select smartid_wall('purchase_challenges');

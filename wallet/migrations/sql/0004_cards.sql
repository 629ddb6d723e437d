-- The vault's data keys, and virtual cards.
-- vault_keys is written by wallet.vault alone, the rest by wallet.cards alone.

create table vault_keys (
    key_id uuid primary key,
    scope text not null unique,
    wrapped bytea not null,
    -- a key is not kept in any cache until the transaction that made it is known to be committed
    created_in xid8 not null default pg_current_xact_id(),
    created_at timestamptz not null default now()
);
create index vault_keys_by_age on vault_keys (created_at);
select smartid_table('vault_keys');

create table virtual_cards (
    id uuid primary key,
    bank text not null references banks (id),
    holder_id uuid not null references holders (id),
    smart_id_id uuid not null references smart_ids (id),
    state text not null check (state in (
        'REQUESTED', 'ISSUED_PENDING_CLAIM', 'ACTIVE', 'FROZEN', 'CLOSED', 'REVERSED', 'EXPIRED')),
    substatus text check (substatus in (
        'LOST', 'COMPROMISED', 'DAMAGED', 'END_USER_REQUEST', 'ISSUER_REQUEST', 'NOT_ACTIVE',
        'SUSPICIOUS_ACTIVITY', 'INTERNAL_REVIEW', 'EXPIRED', 'UNDELIVERABLE', 'OTHER')),
    -- the Smart ID's own freeze is read from smart_ids, where it cannot differ from itself
    frozen_by text[] not null default '{}' check (frozen_by <@ array['HOLDER', 'BANK']),
    kind text not null check (kind in ('open', 'single_use', 'merchant_locked')),
    locked_merchant text,
    currency text not null check (currency in ('KHR', 'USD')),
    account_id bigint not null references accounts (id),
    label text not null check (char_length(label) <= 40),
    number_sealed bytea not null,
    number_index bytea not null unique,
    last_four text not null check (last_four ~ '^[0-9]{4}$'),
    expires_on date not null,
    channel text not null check (channel in ('app', 'atm')),
    -- the reference on the slip is recomputed from the card's id; only its keyed hash stands here
    claim_index bytea,
    claim_expires_at timestamptz,
    claim_failures integer not null default 0,
    terminal_name text,
    -- null: no limit of the card's own. Zero is a limit of zero.
    per_use_limit_minor bigint check (per_use_limit_minor >= 0),
    daily_limit_minor bigint check (daily_limit_minor >= 0),
    uses_per_day integer check (uses_per_day >= 0),
    made_at timestamptz not null,
    changed_at timestamptz not null,
    check ((state = 'FROZEN') = (cardinality(frozen_by) > 0)),
    check ((channel = 'atm') = (claim_index is not null)),
    check ((channel = 'atm') = (claim_expires_at is not null)),
    check ((channel = 'atm') = (terminal_name is not null)),
    check (channel = 'atm' or state <> 'ISSUED_PENDING_CLAIM'),
    check ((state = 'ACTIVE') = (substatus is null)),
    check (kind = 'merchant_locked' or locked_merchant is null)
);
create index virtual_cards_by_holder on virtual_cards (holder_id, id);
create index virtual_cards_by_smart_id on virtual_cards (smart_id_id)
    where state in ('ISSUED_PENDING_CLAIM', 'ACTIVE', 'FROZEN');
create unique index virtual_cards_claim on virtual_cards (claim_index)
    where state = 'ISSUED_PENDING_CLAIM';
-- an ATM leaves at most one card of a Smart ID waiting for its holder
create unique index virtual_cards_one_waiting on virtual_cards (smart_id_id)
    where state = 'ISSUED_PENDING_CLAIM';
create index virtual_cards_expiry on virtual_cards (expires_on) where state in ('ACTIVE', 'FROZEN');
select smartid_table('virtual_cards');
revoke delete on virtual_cards from smartid_app;
select smartid_wall('virtual_cards');

create table card_changes (
    seq bigint generated always as identity primary key,
    card_id uuid not null references virtual_cards (id),
    bank text not null,
    act text not null,
    from_state text,
    to_state text not null,
    substatus text,
    frozen_by text[] not null,
    cause text not null,
    actor_kind text not null,
    actor_id text not null,
    at timestamptz not null
);
create index card_changes_by_card on card_changes (card_id, seq);
select smartid_append_only('card_changes');
select smartid_wall('card_changes');

-- One row per request an ATM made: the replay key that outlives any cache, and the tombstone of
-- a reversal that came before its request.
create table atm_card_requests (
    acquirer text not null,
    terminal text not null,
    rrn text not null,
    stan text not null,
    local_date date not null,
    bank text not null,
    idempotency_key text,
    smart_id_id uuid,
    asked bytea,
    card_id uuid unique references virtual_cards (id),
    declined text,
    screen text,
    reversed_at timestamptz,
    reversal text check (reversal in ('CANCELLED', 'STAYS', 'NOTHING_TO_REVERSE')),
    at timestamptz not null,
    primary key (acquirer, terminal, rrn, stan, local_date),
    check (card_id is null or declined is null),
    check ((declined is null) = (screen is null)),
    check ((reversed_at is null) = (reversal is null))
);
create unique index atm_card_requests_by_key
    on atm_card_requests (acquirer, terminal, idempotency_key)
    where idempotency_key is not null;
create index atm_card_requests_by_smart_id on atm_card_requests (smart_id_id, at)
    where smart_id_id is not null;
select smartid_table('atm_card_requests');
revoke delete on atm_card_requests from smartid_app;
select smartid_wall('atm_card_requests');

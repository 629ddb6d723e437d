-- Virtual cards in phones' wallets: what we want of the token service, and what it last said.

-- whether a card ever went into a phone's wallet: most never do, and cost no job then
alter table virtual_cards add column tokenised boolean not null default false;

create table card_tokens (
    id uuid primary key,
    bank text not null references banks (id),
    holder_id uuid not null references holders (id),
    card_id uuid not null references virtual_cards (id),
    wallet text not null check (wallet in ('apple', 'google', 'samsung')),
    device_name text not null check (char_length(device_name) between 1 and 40),
    -- what the token service last said; REQUESTED: nothing yet
    state text not null check (state in ('REQUESTED', 'ACTIVE', 'SUSPENDED', 'DELETED')),
    -- the holder wants it gone, whatever the card does
    unwanted boolean not null default false,
    -- counts what was asked for: the token service ignores what is older than it has seen
    version integer not null default 0,
    -- asked and not yet answered, until when nobody else asks
    asking text check (asking in ('ACTIVE', 'SUSPENDED', 'DELETED')),
    asking_until timestamptz,
    provider_ref text,
    made_at timestamptz not null,
    changed_at timestamptz not null,
    check ((asking is null) = (asking_until is null))
);
create index card_tokens_by_card on card_tokens (card_id);
create index card_tokens_open on card_tokens (changed_at)
    where asking is not null or state = 'REQUESTED';
select smartid_table('card_tokens');
revoke delete on card_tokens from smartid_app;
select smartid_wall('card_tokens');

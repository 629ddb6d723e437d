-- What a card is for, what it became of, and how often somebody guessed at it.

alter table virtual_cards
    drop constraint virtual_cards_kind_check,
    drop constraint virtual_cards_check6,
    add constraint virtual_cards_kind_check
        check (kind in ('open', 'single_use', 'merchant_locked', 'recurring')),
    -- the merchant's name as the holder reads it; the id is what decides
    add column locked_name text,
    -- the approval that closed a single-use card
    add column spent_by uuid,
    -- whether a purchase in the other currency is exchanged; else it is declined
    add column exchanges boolean not null default false,
    -- the first card of a chain of renewals: limits and standing uses hang on it
    add column lineage uuid,
    add column replaces uuid references virtual_cards (id),
    add column replaced_by uuid references virtual_cards (id),
    -- wrong expiry dates and check values since the last right one
    add column cvv_failures integer not null default 0 check (cvv_failures >= 0);
update virtual_cards set lineage = id;
alter table virtual_cards
    alter column lineage set not null,
    add constraint virtual_cards_lock_of_kind
        check (kind in ('merchant_locked', 'recurring') or locked_merchant is null),
    add constraint virtual_cards_lock_named
        check ((locked_merchant is null) = (locked_name is null)),
    add constraint virtual_cards_spent_is_closed
        check (spent_by is null or (kind = 'single_use' and state = 'CLOSED')),
    add constraint virtual_cards_replaced_is_closed
        check (replaced_by is null or state = 'CLOSED'),
    add constraint virtual_cards_lineage
        check ((replaces is null) = (lineage = id));
-- a card is replaced once, and a renewed chain is found by its first card
create unique index virtual_cards_replaces on virtual_cards (replaces) where replaces is not null;
create index virtual_cards_renewed on virtual_cards (lineage) where replaces is not null;

-- Merchants that charge by a standing agreement: their charges follow a renewed card.
create table card_standing_uses (
    lineage uuid not null references virtual_cards (id),
    merchant_id text not null,
    merchant_name text not null,
    bank text not null,
    card_id uuid not null references virtual_cards (id),
    authorisation_id uuid not null,
    at timestamptz not null,
    primary key (lineage, merchant_id)
);
select smartid_append_only('card_standing_uses');
select smartid_wall('card_standing_uses');

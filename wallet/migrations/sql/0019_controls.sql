-- What each party allows, version by version; a version's words never change, only where it stands.
-- Written by wallet.controls. `subject`: a card, a holder, or what stands for the bank.
create table control_sheets (
    id uuid primary key,
    bank text not null,
    set_by text not null check (set_by in ('bank', 'holder', 'card')),
    subject uuid not null,
    holder_id uuid,
    version integer not null check (version > 0),
    body text not null check (jsonb_typeof(body::jsonb) = 'object'),
    state text not null check (state in ('DRAFT', 'SHADOW', 'LIVE', 'PAST', 'WITHDRAWN')),
    -- the version this one brings back
    copied_from integer,
    drafted_at timestamptz not null,
    drafted_by text not null,
    shadowed_at timestamptz,
    promoted_at timestamptz,
    promoted_by text,
    ended_at timestamptz,
    constraint control_sheets_holder check ((set_by = 'bank') = (holder_id is null)),
    constraint control_sheets_promoted check (
        (state in ('LIVE', 'PAST')) = (promoted_at is not null)
        and (promoted_at is null) = (promoted_by is null)),
    constraint control_sheets_shadowed check (
        (state <> 'SHADOW' or shadowed_at is not null)
        and (state <> 'DRAFT' or shadowed_at is null)),
    constraint control_sheets_ended check ((state in ('PAST', 'WITHDRAWN')) = (ended_at is not null)),
    constraint control_sheets_four_eyes check (set_by <> 'bank' or promoted_by <> drafted_by)
);
create unique index control_sheets_version on control_sheets (subject, version);
create unique index control_sheets_standing on control_sheets (subject, state)
    where state in ('SHADOW', 'LIVE');
grant select, insert, update on control_sheets to smartid_app;
create trigger control_sheets_words before update on control_sheets for each row
    when ((old.id, old.bank, old.set_by, old.subject, old.holder_id, old.version, old.body,
           old.copied_from, old.drafted_at, old.drafted_by)
          is distinct from
          (new.id, new.bank, new.set_by, new.subject, new.holder_id, new.version, new.body,
           new.copied_from, new.drafted_at, new.drafted_by)
          or old.state in ('PAST', 'WITHDRAWN'))
    execute function smartid_refuse_change();
create trigger control_sheets_last before delete or truncate on control_sheets
    for each statement execute function smartid_refuse_change();
select smartid_wall('control_sheets');

-- Every purchase that was decided on, and what of it was given back: what a draft is tried on.
create table control_evaluations (
    seq bigint generated always as identity primary key,
    bank text not null,
    purchase_id uuid not null,
    step text not null check (step in ('decided', 'forced', 'given_back')),
    holder_id uuid not null,
    card_id uuid not null,
    -- of what was given back, when it had been counted
    moment timestamptz not null,
    at timestamptz not null,
    -- of what was given back, so much
    amount_minor bigint not null check (amount_minor >= 0),
    currency text not null check (currency in ('KHR', 'USD')),
    -- whether it was, or took back, a purchase of its own and not more of an earlier one
    another boolean not null,
    counted boolean not null,
    reason text,
    set_by text,
    merchant_id text,
    merchant_name text,
    mcc text,
    country text,
    city text,
    channel text,
    constraint control_evaluations_told check (
        (step = 'given_back') = (merchant_id is null) and (reason is null or not counted))
);
create index control_evaluations_holder on control_evaluations (holder_id, seq);
create index control_evaluations_at on control_evaluations using brin (at)
    with (pages_per_range = 32, autosummarize = on);
create unique index control_evaluations_once on control_evaluations (purchase_id)
    where step <> 'given_back';
select smartid_append_only('control_evaluations');
select smartid_wall('control_evaluations');

-- Where a version in shadow would have decided otherwise. It decided nothing.
create table control_shadows (
    sheet_id uuid not null,
    purchase_id uuid not null,
    bank text not null,
    at timestamptz not null,
    would text not null check (would in ('decline', 'approve')),
    reason text,
    rule text,
    amount_minor bigint not null,
    currency text not null check (currency in ('KHR', 'USD')),
    card_id uuid not null,
    primary key (sheet_id, purchase_id),
    constraint control_shadows_reason check ((would = 'decline') = (reason is not null))
);
select smartid_append_only('control_shadows');
select smartid_wall('control_shadows');

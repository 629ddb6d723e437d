-- What a bank's operations set: limits, fees, rates; each change a whole new sheet with the moment
-- it takes effect. Written by wallet.terms. An approved sheet is never changed again.
create table terms (
    id uuid primary key,
    bank text not null,
    sort text not null check (sort in ('limits', 'fees', 'rates')),
    body jsonb not null,
    proposed_at timestamptz not null,
    proposed_by text not null,
    -- as wished, if a moment was wished; fixed by the approval
    effective_from timestamptz,
    approved_at timestamptz,
    approved_by text,
    constraint terms_approved check (
        (approved_at is null) = (approved_by is null)
        and (approved_at is null or effective_from >= approved_at)),
    constraint terms_four_eyes check (approved_by is distinct from proposed_by)
);
create unique index terms_in_force on terms (bank, sort, effective_from)
    where approved_at is not null;
create index terms_waiting on terms (bank, sort, proposed_at) where approved_at is null;
grant select, insert, update on terms to smartid_app;
create trigger terms_stay before update on terms for each row
    when (old.approved_at is not null) execute function smartid_refuse_change();
create trigger terms_last before delete or truncate on terms
    for each statement execute function smartid_refuse_change();
select smartid_wall('terms');

-- Money changed between a holder's own wallets, with the quote it was changed at.
create table exchanges (
    -- the intent's id, and that of the transfer that took the money given
    id uuid primary key,
    bank text not null,
    holder_id uuid not null,
    rate_id uuid not null,
    mid_hundredths bigint not null check (mid_hundredths > 0),
    spread_bps integer not null check (spread_bps between 0 and 10000),
    given_currency text not null check (given_currency in ('KHR', 'USD')),
    given_minor bigint not null check (given_minor > 0),
    got_currency text not null check (got_currency in ('KHR', 'USD')),
    got_minor bigint not null check (got_minor > 0),
    spread_minor bigint not null check (spread_minor >= 0),
    rounding_minor bigint not null check (rounding_minor >= 0),
    quoted_at timestamptz not null,
    at timestamptz not null,
    constraint exchanges_two_currencies check (given_currency <> got_currency)
);
create index exchanges_holder on exchanges (holder_id, id);
select smartid_append_only('exchanges');
select smartid_wall('exchanges');

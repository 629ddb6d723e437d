-- Smart IDs whose last day is over are looked for in every round of the worker.
create index smart_ids_ending on smart_ids (expires_on) where identity_state = 'VALID';

-- What people found about a case of a purchase: by one, or where suspense stands in with money, by
-- two. It moves no money itself. Written by wallet.authorisations.closing.
create table authorisation_case_closings (
    case_id uuid primary key references authorisation_cases (id),
    bank text not null,
    finding text not null check (finding in (
        'CHARGE_IS_RIGHT', 'SHOP_ERRED', 'NETWORK_ERRED', 'FRAUD', 'DUPLICATE')),
    why text not null check (char_length(why) between 1 and 500),
    state text not null check (state in ('REQUESTED', 'CLOSED')),
    maker uuid not null,
    checker uuid,
    approval_id uuid,
    at timestamptz not null,
    closed_at timestamptz,
    check (maker <> checker),
    check ((state = 'CLOSED') = (closed_at is not null)),
    check (checker is null or approval_id is not null)
);
select smartid_table('authorisation_case_closings');
revoke delete on authorisation_case_closings from smartid_app;
select smartid_wall('authorisation_case_closings');

-- What is closed stays as it was closed.
create function smartid_closed_case() returns trigger language plpgsql as $$
begin
    if old.state = 'CLOSED' then
        raise exception 'case % is closed', old.case_id;
    end if;
    return new;
end $$;
create trigger closed before update on authorisation_case_closings
    for each row execute function smartid_closed_case();

-- An officer reaches the Smart IDs of their own agency's people.
select smartid_agency_wall('smart_ids', 'holder_id in (select h.id from holders h)');
insert into role_permissions (role, permission) values ('checker', 'leaving.report');

do $$
declare
    line record;
begin
    for line in select * from (values
        ('authorisation_case_closings', 'support', 'select, insert, update'),
        -- a bank's agent stops one card and lets it go on, and never reads its number or claim
        ('virtual_cards', 'support',
         'select (id, bank, holder_id, smart_id_id, state, substatus, frozen_by, kind, currency,
                  account_id, label, last_four, expires_on, channel, claim_expires_at,
                  claim_failures, terminal_name, per_use_limit_minor, daily_limit_minor,
                  uses_per_day, locked_merchant, locked_name, spent_by, exchanges, lineage,
                  replaces, replaced_by, cvv_failures, tokenised, made_at, changed_at)'),
        ('virtual_cards', 'support',
         'update (state, substatus, changed_at, frozen_by, claim_failures, cvv_failures,
                  locked_merchant, locked_name, spent_by, replaced_by, smart_id_id)'),
        ('card_changes', 'support', 'insert'),
        -- an agency reports who left: their standing, and their Smart ID's states
        ('holders', 'agency', 'update (status)'),
        ('smart_ids', 'agency',
         'select (id, bank, holder_id, identity_state, payment_state, frozen_by, issued_on,
                  expires_on, last_four, changed_at)'),
        ('smart_ids', 'agency',
         'update (identity_state, payment_state, frozen_by, changed_at)')
    ) as granted (name, caller, privileges)
    loop
        perform smartid_open(line.name::regclass, line.caller, line.privileges);
    end loop;
end $$;

-- The machine's word that the slip came out: evidence in a dispute, and nothing more.
alter table atm_card_requests add column printed_at timestamptz;
alter table atm_card_requests add check (printed_at is null or card_id is not null);

-- A card that its ATM took back after it was claimed: it stays, and somebody looks into it.
create table atm_card_cases (
    id uuid primary key,
    seq bigint generated always as identity,
    bank text not null,
    case_number text not null,
    card_id uuid not null unique references virtual_cards (id),
    holder_id uuid not null,
    last_four text not null,
    acquirer text not null,
    terminal text not null,
    rrn text not null,
    cause text not null,
    opened_at timestamptz not null
);
create unique index atm_card_cases_newest on atm_card_cases (bank, seq);
select smartid_append_only('atm_card_cases');
select smartid_wall('atm_card_cases');

-- The app set free by card and PIN, so that it can be counted: with each of these go five more
-- tries at a PIN or a code. Written by wallet.access.unlocking.
create table app_unlocks (
    id uuid primary key,
    bank text not null,
    holder_id uuid not null,
    acquirer text not null,
    terminal text not null,
    at timestamptz not null
);
create index app_unlocks_by_holder on app_unlocks (holder_id, at);
select smartid_append_only('app_unlocks');
select smartid_wall('app_unlocks');

-- Of PINs and codes a machine may see and set back the counts, never what they are compared with.
do $$
declare
    line record;
begin
    for line in select * from (values
        ('atm_card_cases', 'atm', 'insert, select'),
        ('atm_card_cases', 'support', 'select'),
        ('app_unlocks', 'atm', 'insert, select'),
        -- a number changed or a phone taken out ends the holder's sessions
        ('sessions', 'atm', 'select (holder_id, bank)'),
        ('sessions', 'atm', 'delete'),
        ('transfers', 'atm', 'select'),
        ('open_holds', 'atm', 'select'),
        ('pins', 'atm', 'select (holder_id, bank, failures, locked_until)'),
        ('pins', 'atm', 'update (failures, locked_until)'),
        ('otp_standing', 'atm', 'select (holder_id, bank, consecutive_failures, locked_until)'),
        ('otp_standing', 'atm', 'update (consecutive_failures, locked_until)')
    ) as granted (name, caller, privileges)
    loop
        perform smartid_open(line.name::regclass, line.caller, line.privileges);
    end loop;
end $$;

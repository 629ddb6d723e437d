-- The registry: banks, agencies, people, their applications and their Smart IDs.
-- Written by wallet.registry alone; one table, one module.

create table banks (
    id text primary key check (id ~ '^[A-Z]{2,12}$'),
    name_km text not null,
    name_en text not null,
    iin text not null unique check (iin ~ '^9116[0-9]{2}$'),
    settlement_khqr_id text not null check (settlement_khqr_id like '%_@_%')
);
select smartid_table('banks');

create table agencies (
    id text primary key check (id ~ '^[A-Z]{2,12}$'),
    name_km text not null,
    name_en text not null,
    kind text not null check (kind in ('ministry', 'authority'))
);
select smartid_table('agencies');

create table holders (
    id uuid primary key,
    bank text not null references banks (id),
    agency text not null references agencies (id),
    -- one person, one row, whatever the bank or agency: a second one with this number is refused
    staff_no text not null unique check (staff_no ~ '^[0-9]{10}$'),
    name_latin text not null check (name_latin <> ''),
    name_khmer text not null check (name_khmer <> ''),
    language text not null check (language in ('km', 'en')),
    phone_sealed bytea,
    phone_index bytea,
    status text not null check (status in ('APPLICANT', 'ACTIVE', 'LEFT', 'RETIRED', 'DECEASED')),
    created_at timestamptz not null,
    check ((phone_sealed is null) = (phone_index is null))
);
-- two people may share a telephone (story A1.4), so it finds people but does not name one
create index holders_by_phone on holders (phone_index) where phone_index is not null;
create index holders_by_agency on holders (agency, id);
select smartid_table('holders');
select smartid_wall('holders');

create table smart_ids (
    id uuid primary key,
    bank text not null references banks (id),
    holder_id uuid not null references holders (id),
    number_sealed bytea,
    number_index bytea unique,
    last_four text check (last_four ~ '^[0-9]{4}$'),
    identity_state text not null check (identity_state in (
        'APPLIED', 'CHECKED', 'SENT_TO_BANK', 'PRINTED', 'WITH_AGENCY', 'HANDED_OVER',
        'VALID', 'EXPIRED', 'REVOKED')),
    payment_state text not null
        check (payment_state in ('INACTIVE', 'ACTIVE', 'FROZEN', 'BLOCKED')),
    -- who froze it decides who may lift it
    frozen_by text check (frozen_by in ('HOLDER', 'BANK', 'SUPPORT')),
    issued_on date,
    expires_on date,
    changed_at timestamptz not null,
    check ((number_sealed is null) = (number_index is null)),
    check ((number_sealed is null) = (last_four is null)),
    check ((number_sealed is null) = (issued_on is null)),
    check (issued_on is null or expires_on = (issued_on + interval '10 years')::date),
    check ((payment_state = 'FROZEN') = (frozen_by is not null)),
    -- a number exists from printing on; nothing without one can be valid
    check (number_sealed is not null or identity_state in (
        'APPLIED', 'CHECKED', 'SENT_TO_BANK', 'REVOKED')),
    -- only a valid ID pays: one that expires or is revoked is blocked in the same act
    check (payment_state in ('INACTIVE', 'BLOCKED') or identity_state = 'VALID')
);
create index smart_ids_by_holder on smart_ids (holder_id);
-- a renewal may be under way beside the valid card, never two of either
create unique index smart_ids_one_valid on smart_ids (holder_id) where identity_state = 'VALID';
create unique index smart_ids_one_coming on smart_ids (holder_id) where identity_state in (
    'APPLIED', 'CHECKED', 'SENT_TO_BANK', 'PRINTED', 'WITH_AGENCY', 'HANDED_OVER');
select smartid_table('smart_ids');
select smartid_wall('smart_ids');

create table applications (
    id uuid primary key,
    bank text not null references banks (id),
    agency text not null references agencies (id),
    holder_id uuid not null references holders (id),
    smart_id_id uuid not null unique references smart_ids (id),
    staff_no text not null check (staff_no ~ '^[0-9]{10}$'),
    state text not null check (state in (
        'APPLIED', 'CHECKED', 'SENT_TO_BANK', 'PRINTED', 'WITH_AGENCY', 'HANDED_OVER',
        'REJECTED')),
    reject_reason text,
    applied_at timestamptz not null,
    checked_at timestamptz,
    sent_to_bank_at timestamptz,
    printed_at timestamptz,
    with_agency_at timestamptz,
    handed_over_at timestamptz,
    rejected_at timestamptz,
    check ((state = 'REJECTED') = (reject_reason is not null)),
    check ((state = 'REJECTED') = (rejected_at is not null)),
    check ((state = 'HANDED_OVER') = (handed_over_at is not null))
);
create index applications_by_agency on applications (agency, id);
create index applications_by_bank on applications (bank, id);
create unique index applications_one_open on applications (holder_id)
    where state not in ('HANDED_OVER', 'REJECTED');
select smartid_table('applications');
select smartid_wall('applications');

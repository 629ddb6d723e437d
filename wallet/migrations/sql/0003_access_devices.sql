-- Holders' phones: pairing, PIN, sessions, one-time passwords, intents. Written by wallet.access
-- .pairings, .devices, .pins, .sessions, .otp and .intents, one module a table or two.

-- A phone asks to be paired before anybody knows whose it is: no wall until it is confirmed, and
-- nothing of a holder in it but whom it was confirmed for.
create table pairings (
    id uuid primary key,
    state text not null check (state in ('WAITING', 'REQUESTED', 'CONFIRMED', 'COMPLETED')),
    code_index bytea not null check (octet_length(code_index) = 32),
    secret_hash bytea not null check (octet_length(secret_hash) = 32),
    public_key bytea not null check (octet_length(public_key) = 65),
    nonce bytea not null check (octet_length(nonce) = 32),
    tries smallint not null default 0 check (tries between 0 and 5),
    bank text references banks (id),
    holder_id uuid references holders (id),
    channel text check (channel in ('atm', 'branch')),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    confirmed_at timestamptz,
    completed_at timestamptz,
    check ((bank is null) = (holder_id is null)),
    check ((holder_id is null) = (state = 'WAITING')),
    check ((confirmed_at is not null) = (state in ('CONFIRMED', 'COMPLETED')))
);
create index pairings_waiting on pairings (expires_at) where state = 'WAITING';
create unique index pairings_by_code on pairings (code_index) where state = 'WAITING';
select smartid_table('pairings');

-- Wrong pairing codes entered with one holder's card: the guesser is known, the guessed is not.
create table pairing_tries (
    holder_id uuid primary key references holders (id),
    bank text not null references banks (id),
    failures smallint not null,
    since timestamptz not null
);
select smartid_table('pairing_tries');
select smartid_wall('pairing_tries');

create table devices (
    id uuid primary key,
    bank text not null references banks (id),
    holder_id uuid not null references holders (id),
    -- an uncompressed P-256 point; the private half never leaves the phone
    public_key bytea not null check (octet_length(public_key) = 65 and get_byte(public_key, 0) = 4),
    state text not null check (state in ('ACTIVE', 'REVOKED')),
    channel text not null check (channel in ('atm', 'branch')),
    paired_at timestamptz not null,
    -- a phone that replaced another has little power until then; a holder's first has none to wait
    cooling_until timestamptz,
    revoked_at timestamptz,
    check ((state = 'REVOKED') = (revoked_at is not null))
);
create unique index devices_one_active on devices (holder_id) where state = 'ACTIVE';
create index devices_by_holder on devices (holder_id);
select smartid_table('devices');
revoke delete on devices from smartid_app;
select smartid_wall('devices');

create table pins (
    holder_id uuid primary key references holders (id),
    bank text not null references banks (id),
    -- argon2id over a keyed hash: the table alone lets nobody try the million PINs
    encoded text not null check (encoded like '$argon2id$v=19$m=19456,t=2,p=1$%'),
    failures integer not null default 0 check (failures >= 0),
    locked_until timestamptz,
    changed_at timestamptz not null
);
select smartid_table('pins');
revoke delete on pins from smartid_app;
select smartid_wall('pins');

-- Only the hash of a token is kept. A phone has one session; signing in anew ends the one before.
create table sessions (
    token_hash bytea primary key check (octet_length(token_hash) = 32),
    bank text not null references banks (id),
    holder_id uuid not null references holders (id),
    device_id uuid not null unique references devices (id),
    created_at timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at timestamptz not null
) with (fillfactor = 70);
create index sessions_by_holder on sessions (holder_id);
select smartid_table('sessions');
select smartid_wall('sessions');

-- A holder's one-time passwords: their authenticator, and what wrong codes have come to.
create table otp_standing (
    holder_id uuid primary key,
    bank text not null references banks (id),
    consecutive_failures integer not null default 0 check (consecutive_failures >= 0),
    locked_until timestamptz,
    totp_state text not null default 'NONE'
        check (totp_state in ('NONE', 'ENROLLED', 'ACTIVE')),
    totp_sealed bytea,
    -- an enrolment not yet confirmed stands beside the authenticator it would replace
    totp_next_sealed bytea,
    -- the newest time step a code was accepted for: a code is good once
    totp_last_step bigint not null default 0,
    check ((totp_state = 'ACTIVE') = (totp_sealed is not null)),
    check (totp_state <> 'ENROLLED' or totp_next_sealed is not null)
);
select smartid_table('otp_standing');
revoke delete on otp_standing from smartid_app;
select smartid_wall('otp_standing');

-- A code sent for one intent: its key lies sealed, the code itself is nowhere.
create table otp_challenges (
    id uuid primary key,
    bank text not null references banks (id),
    holder_id uuid not null,
    intent_id uuid not null,
    tx_hash bytea not null check (octet_length(tx_hash) = 32),
    key_sealed bytea not null,
    message text not null,
    state text not null check (state in ('OPEN', 'USED', 'REPLACED')),
    tries smallint not null default 0 check (tries between 0 and 5),
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create unique index otp_challenges_one_open on otp_challenges (intent_id) where state = 'OPEN';
create index otp_challenges_by_holder on otp_challenges (holder_id, created_at);
select smartid_table('otp_challenges');
select smartid_wall('otp_challenges');

-- No foreign keys: a row is written only for a caller who was just recognised, and every payment
-- would pay for the checks. Room is left in the pages so that the one update moves no index entry.
create table intents (
    id uuid primary key,
    bank text not null,
    holder_id uuid not null,
    device_id uuid not null,
    kind text not null,
    plan jsonb not null,
    text_en text not null,
    text_km text not null,
    facts jsonb not null,
    amount_minor bigint,
    currency text check (currency in ('KHR', 'USD')),
    payee text not null,
    nonce bytea not null check (octet_length(nonce) = 32),
    tx_hash bytea not null check (octet_length(tx_hash) = 32),
    otp_needed boolean not null,
    cooling boolean not null,
    tries smallint not null default 0 check (tries between 0 and 5),
    state text not null default 'PENDING' check (state in ('PENDING', 'DONE', 'DECLINED')),
    answer jsonb,
    reason text,
    reason_facts jsonb,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    resolved_at timestamptz,
    check ((amount_minor is null) = (currency is null)),
    check ((state = 'PENDING') = (resolved_at is null)),
    check ((state = 'DONE') = (answer is not null)),
    check ((state = 'DECLINED') = (reason is not null))
) with (fillfactor = 60);
create index intents_cooling on intents (device_id, created_at) where cooling;
select smartid_table('intents');
select smartid_wall('intents');

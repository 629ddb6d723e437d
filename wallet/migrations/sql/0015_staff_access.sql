-- Staff: roles as data, passkeys, sessions with a proof of their own, changes of roles under four
-- eyes, emergency access. Written by wallet.access.{roles,passkeys,staff_sessions,emergency}.

alter table staff drop constraint staff_kind_check;
alter table staff add constraint staff_kind_check
    check (kind in ('agency_officer', 'bank_clerk', 'support', 'admin'));
alter table staff drop constraint staff_roles_check;
alter table staff add constraint staff_some_role check (roles <> '{}');

-- What a role may do, and whether whoever has it must prove themselves with a passkey.
create table staff_roles (
    role text primary key check (role ~ '^[a-z_]{3,32}$'),
    needs_passkey boolean not null,
    kinds text[] not null check (
        kinds <> '{}' and kinds <@ array['agency_officer', 'bank_clerk', 'support', 'admin'])
);
create table role_permissions (
    role text not null references staff_roles (role),
    permission text not null check (permission ~ '^[a-z_]+\.[a-z_]+$'),
    primary key (role, permission)
);
insert into staff_roles (role, needs_passkey, kinds) values
    ('maker', false, '{agency_officer,bank_clerk,support}'),
    ('checker', true, '{agency_officer,bank_clerk,support}'),
    ('agent', false, '{support}'),
    ('supervisor', true, '{support}'),
    ('admin', true, '{admin}');
insert into role_permissions (role, permission) values
    ('maker', 'salary.send'), ('maker', 'pairing.ask'), ('maker', 'terms.propose'),
    ('checker', 'salary.approve'), ('checker', 'pairing.approve'), ('checker', 'terms.approve'),
    ('agent', 'case.work'), ('agent', 'refund.ask'), ('agent', 'holder.unmask'),
    ('agent', 'emergency.open'),
    ('supervisor', 'case.work'), ('supervisor', 'refund.approve'), ('supervisor', 'holder.unmask'),
    ('supervisor', 'emergency.open'), ('supervisor', 'emergency.review'),
    ('admin', 'staff.change'), ('admin', 'staff.approve');
grant select on staff_roles, role_permissions to smartid_app;

-- A role that is not in the table, or is not for this kind of staff, is nobody's.
create function smartid_staff_roles() returns trigger language plpgsql as $$
begin
    if exists (
        select from unnest(new.roles) as wanted
        where not exists (select from staff_roles r where r.role = wanted and new.kind = any(r.kinds))
    ) then
        raise exception 'no such role for this kind of staff' using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger staff_roles_known before insert or update of roles, kind on staff
    for each row execute function smartid_staff_roles();

-- Sessions: everybody signs in anew, for they are carried by a cookie from now on. proven_at is when
-- a second factor was last shown, passkey_at when a passkey was.
delete from staff_sessions;
alter table staff_sessions add column proven_at timestamptz not null;
alter table staff_sessions add column passkey_at timestamptz;
alter table staff_sessions add constraint staff_sessions_length
    check (expires_at <= created_at + interval '8 hours');

create table passkeys (
    id uuid primary key,
    staff_id uuid not null references staff (id),
    credential_id bytea not null unique check (octet_length(credential_id) between 16 and 1023),
    public_key bytea not null, -- COSE, as the authenticator gave it
    sign_count bigint not null check (sign_count between 0 and 4294967295),
    name text not null check (name <> ''),
    created_at timestamptz not null,
    last_used_at timestamptz,
    revoked_at timestamptz
);
create index passkeys_of on passkeys (staff_id) where revoked_at is null;
select smartid_table('passkeys');
revoke delete on passkeys from smartid_app;

-- One challenge a person and purpose, for the session it was made in, taken away when answered.
create table passkey_challenges (
    staff_id uuid not null references staff (id),
    purpose text not null check (purpose in ('register', 'prove')),
    challenge bytea not null check (octet_length(challenge) = 32),
    token_hash bytea not null check (octet_length(token_hash) = 32),
    expires_at timestamptz not null,
    primary key (staff_id, purpose)
);
select smartid_table('passkey_challenges');

-- What lets somebody register a first passkey: handed over in person, good once and for a week.
create table passkey_tickets (
    staff_id uuid primary key references staff (id),
    ticket_hash bytea not null check (octet_length(ticket_hash) = 32),
    expires_at timestamptz not null
);
select smartid_table('passkey_tickets');

-- Who shall have which roles: asked by one, approved by another, done once.
create table role_changes (
    id uuid primary key,
    staff_id uuid not null references staff (id),
    roles text[] not null check (roles <> '{}'),
    roles_before text[] not null,
    why text not null check (why <> ''),
    maker uuid not null references staff (id),
    checker uuid references staff (id),
    asked_at timestamptz not null,
    done_at timestamptz,
    constraint role_changes_four_eyes check (maker <> checker),
    constraint role_changes_not_own check (staff_id <> checker),
    check ((checker is null) = (done_at is null))
);
select smartid_table('role_changes');
revoke delete on role_changes from smartid_app;

-- Breaking the glass: alone, for a quarter of an hour, with an alarm, looked at by another after.
create table emergency_access (
    id uuid primary key,
    staff_id uuid not null references staff (id),
    reason text not null check (length(reason) >= 20),
    opened_at timestamptz not null,
    expires_at timestamptz not null,
    reviewed_by uuid references staff (id),
    reviewed_at timestamptz,
    justified boolean,
    note text,
    constraint emergency_access_short
        check (expires_at > opened_at and expires_at <= opened_at + interval '15 minutes'),
    constraint emergency_access_four_eyes check (reviewed_by <> staff_id),
    check (num_nulls(reviewed_by, reviewed_at, justified, note) in (0, 4))
);
create index emergency_access_unreviewed on emergency_access (opened_at) where reviewed_by is null;
create index emergency_access_of on emergency_access (staff_id, expires_at);
select smartid_table('emergency_access');
revoke delete on emergency_access from smartid_app;

-- Four eyes, by the table itself: what was asked for is never changed, a step is taken once and in
-- order, and a day is all there is.
create function smartid_approval_step() returns trigger language plpgsql as $$
begin
    if (new.id, new.bank, new.act, new.subject, new.payload_hash, new.maker_id, new.requested_at,
        new.expires_at)
       is distinct from
       (old.id, old.bank, old.act, old.subject, old.payload_hash, old.maker_id, old.requested_at,
        old.expires_at) then
        raise exception 'what was asked to be approved is not changed'
            using errcode = 'check_violation', constraint = 'approvals_bound', table = 'approvals';
    end if;
    if not ((old.state = 'REQUESTED' and new.state in ('APPROVED', 'EXPIRED'))
            or (old.state = 'APPROVED' and new.state in ('EXECUTED', 'EXPIRED')))
       or (old.checker_id is not null and new.checker_id is distinct from old.checker_id) then
        raise exception 'an approval does not go from % to %', old.state, new.state
            using errcode = 'check_violation', constraint = 'approvals_steps', table = 'approvals';
    end if;
    return new;
end $$;
create trigger approvals_step before update on approvals
    for each row execute function smartid_approval_step();
create function smartid_approval_begins() returns trigger language plpgsql as $$
begin
    if new.state <> 'REQUESTED' then
        raise exception 'an approval begins by being asked for'
            using errcode = 'check_violation', constraint = 'approvals_steps', table = 'approvals';
    end if;
    return new;
end $$;
create trigger approvals_begin before insert on approvals
    for each row execute function smartid_approval_begins();
alter table approvals add constraint approvals_a_day
    check (expires_at <= requested_at + interval '24 hours'
           and coalesce(approved_at, requested_at) < expires_at
           and coalesce(executed_at, requested_at) < expires_at);

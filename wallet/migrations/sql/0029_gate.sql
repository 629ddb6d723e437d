-- Where a phone is reached by push. Written by wallet.access.push alone. The address is sealed under
-- its holder's key; a phone has one.
create table push_addresses (
    device_id uuid primary key references devices (id),
    bank text not null references banks (id),
    holder_id uuid not null,
    address_sealed bytea not null,
    registered_at timestamptz not null
);
select smartid_table('push_addresses');
select smartid_wall('push_addresses');
select smartid_open('push_addresses', 'mobile', 'select, insert, update, delete');

-- A phone that is revoked, at whichever door, is pushed to no more. Done here, so that neither clerks
-- nor ATMs need to read where phones are reached. (No other change of a phone names its state.)
create function push_address_goes_with_its_phone() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    delete from push_addresses where device_id = new.id;
    return null;
end $$;
create trigger push_address_goes after update of state on devices
    for each row when (new.state = 'REVOKED')
    execute function push_address_goes_with_its_phone();

-- By what a code goes: as first chosen, SMS where push failed; when a push was accepted.
alter table otp_challenges
    add column channel text not null default 'sms' check (channel in ('push', 'sms')),
    add column pushed_at timestamptz,
    add constraint otp_challenges_pushed check (pushed_at is null or channel = 'push');

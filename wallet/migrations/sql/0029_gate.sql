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

-- Providers that call us back have secrets as machines have keys: two live, sealed, never used again.
alter table machine_keys
    add column provider text,
    drop constraint machine_keys_kind_check,
    drop constraint machine_keys_check,
    drop constraint machine_keys_check1,
    add constraint machine_keys_kind check (kind in ('atm', 'bank', 'agency', 'provider')),
    add constraint machine_keys_whose check (
        (kind = 'agency') = (agency is not null)
        and (kind in ('atm', 'bank')) = (bank is not null)
        and (kind = 'provider') = (provider is not null)),
    -- what a provider signs with is shared with it
    add constraint machine_keys_shared check (kind <> 'provider' or secret_sealed is not null);
drop index machine_keys_two_live;
create unique index machine_keys_two_live
    on machine_keys (kind, coalesce(bank, agency, provider), slot) where retired_at is null;

-- Below this version no data key is wrapped any more: a process that has not noticed a rotation is
-- sent back (its Work is run again whole) before it stores what nobody could open.
create table vault_wrapping (
    one boolean primary key default true check (one),
    least_version integer not null
);
insert into vault_wrapping (least_version) values (1);
grant select, update on vault_wrapping to smartid_app;

create function smartid_wrapping_in_use() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if get_byte(new.wrapped, 0) * 256 + get_byte(new.wrapped, 1)
       < (select least_version from vault_wrapping) then
        raise exception 'this wrapping key is retired' using errcode = 'serialization_failure';
    end if;
    return new;
end $$;
create trigger wrapping_in_use before insert or update on vault_keys
    for each row execute function smartid_wrapping_in_use();

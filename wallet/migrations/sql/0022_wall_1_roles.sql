-- A role for each kind of caller. A Work takes its caller's in the statement that names its bank,
-- and falls back to smartid_app, which is what a connection is between Works, at its end.
--   smartid_door      nobody yet: signing in, pairing, recognising hosts
--   smartid_mobile    holders and their phones
--   smartid_atm       a bank's ATM host
--   smartid_bank      a bank's clerk
--   smartid_agency    an agency's officer
--   smartid_support   support staff
--   smartid_admin     who looks after the staff
--   smartid_worker    ourselves: the worker, the books, the seals. All that smartid_app may
do $$
declare
    caller text;
    login regrole;
begin
    foreach caller in array
        array['door', 'mobile', 'atm', 'bank', 'agency', 'support', 'admin', 'worker']
    loop
        begin
            execute format('create role smartid_%s nologin', caller);
        exception when duplicate_object or unique_violation then null;
        end;
        execute format('grant usage on schema public to smartid_%s', caller);
    end loop;
    if not pg_has_role('smartid_worker', 'smartid_app', 'member') then
        grant smartid_app to smartid_worker;
    end if;
    -- Whoever may log in as the application may become each of its callers.
    for login in
        select m.member::regrole from pg_auth_members m
        where m.roleid = 'smartid_app'::regrole and m.member <> 'smartid_worker'::regrole
        union select current_user::regrole
    loop
        foreach caller in array
            array['door', 'mobile', 'atm', 'bank', 'agency', 'support', 'admin', 'worker']
        loop
            if not exists (select from pg_auth_members m
                           where m.roleid = ('smartid_' || caller)::regrole
                             and m.member = login) then
                execute format('grant smartid_%s to %s', caller, login);
            end if;
        end loop;
    end loop;
end $$;

-- What one kind of caller may do with a table, beside the worker, who may what smartid_app may:
-- smartid_open('cards', 'mobile', 'select, update').
create function smartid_open(name regclass, caller text, privileges text)
returns void language plpgsql as $$
begin
    execute format('grant %s on %s to smartid_%s', privileges, name, caller);
end $$;

-- The walls that were missing: what tells of a holder carries its bank.
-- An answer kept for a repeat is its caller's own, whatever bank the request was about.
alter table idempotency enable row level security;
create policy own_answers on idempotency
    using (caller = (select current_setting('smartid.caller', true)));
create policy keeping on idempotency to smartid_worker using (true);

select smartid_wall('events');

-- A row of the audit tells of acts of one bank on people of another (a foreign ATM): anybody may
-- add, and only the bank that it was noted for, or a Work across banks, may read.
alter table audit enable row level security;
create policy add on audit for insert with check (true);
create policy wall on audit for select using (
    bank = (select current_setting('smartid.bank', true))
    or (select current_setting('smartid.bank', true)) = '*');

-- A phone that asks to be paired is nobody's until somebody confirms it.
alter table pairings enable row level security;
create policy wall on pairings using (
    bank is null
    or bank = (select current_setting('smartid.bank', true))
    or (select current_setting('smartid.bank', true)) = '*');

-- An officer's Work is across banks, and within one agency.
create function smartid_agency_wall(name regclass, condition text)
returns void language plpgsql as $$
begin
    execute format('create policy own_agency on %s as restrictive to smartid_agency using (%s)',
                   name, condition);
end $$;
alter table salary_runs enable row level security;
create policy wall on salary_runs using (true); -- no bank's: an agency's, which restricts officers
select smartid_agency_wall('salary_runs',
    'agency = (select current_setting(''smartid.agency'', true))');
select smartid_agency_wall('salary_files',
    'run_id in (select r.id from salary_runs r)');
select smartid_agency_wall('salary_lines',
    'run_id in (select r.id from salary_runs r)');
select smartid_agency_wall('salary_shares',
    'run_id in (select r.id from salary_runs r)');
select smartid_agency_wall('applications',
    'agency = (select current_setting(''smartid.agency'', true))');
select smartid_agency_wall('holders',
    'agency = (select current_setting(''smartid.agency'', true))');

-- The key of a person or of a bank's cards is nothing that staff outside need: their own codes are
-- all that they ever open.
alter table vault_keys enable row level security;
create policy wall on vault_keys using (true);
create policy own_codes on vault_keys as restrictive to smartid_agency
    using (scope not like 'person:%' and scope not like 'cards:%');

-- Who did or saw what about one person, for a reader behind that person's wall. It answers no more
-- than that, whichever bank the doer belongs to.
create function audit_of(holder uuid, before bigint, looks boolean, most integer)
returns setof audit language plpgsql stable security definer
set search_path = public, pg_temp as $$
begin
    if not exists (select from holders h where h.id = holder
                   and (h.bank = current_setting('smartid.bank', true)
                        or current_setting('smartid.bank', true) = '*')) then
        return;
    elsif looks then
        return query select a.* from audit a
            where a.holder_id = holder and a.seen is not null
              and a.seq < coalesce(before, 9223372036854775807) order by a.seq desc limit most;
    else
        return query select a.* from audit a
            where a.holder_id = holder
              and a.seq < coalesce(before, 9223372036854775807) order by a.seq desc limit most;
    end if;
end $$;
revoke execute on function audit_of(uuid, bigint, boolean, integer) from public;
grant execute on function audit_of(uuid, bigint, boolean, integer)
    to smartid_app, smartid_mobile, smartid_support;
revoke execute on function qr_codes_paid(text[]) from public;
grant execute on function qr_codes_paid(text[]) to smartid_app, smartid_mobile;

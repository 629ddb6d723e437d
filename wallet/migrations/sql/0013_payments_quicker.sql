-- Who holds these tokens, across the banks' walls: it answers no more than what a door has to know
-- of a caller, for tokens that were shown to it. One call names all callers that wait.
create function sessions_named(hashes bytea[])
returns table (token_hash bytea, holder_id uuid, device_id uuid, bank text, language text,
               last_seen_at timestamptz, expires_at timestamptz, cooling_until timestamptz,
               database_now timestamptz)
language sql stable security definer set search_path = public, pg_temp as $$
    -- the few sessions first: from "phones that are active" no plan should ever begin
    with shown as materialized (select * from sessions where token_hash = any(hashes))
    select s.token_hash, s.holder_id, s.device_id, s.bank, h.language, s.last_seen_at, s.expires_at,
           d.cooling_until, clock_timestamp()
    from shown s
    join devices d on d.id = s.device_id
    join holders h on h.id = s.holder_id
    where d.state = 'ACTIVE'
$$;
revoke execute on function sessions_named(bytea[]) from public;
grant execute on function sessions_named(bytea[]) to smartid_app;

-- An intent grows by its answer: room for that beside each, so that the answer stays on its page and
-- no index has to be told (HOT).
alter table intents set (fillfactor = 45);

-- A payment's row has its transfer's id: said once, not indexed twice. What a holder has paid is
-- counted by wallet.limits; here only what they paid under a name is looked up, the newest first.
alter table qr_payments drop constraint qr_payments_transfer_id_key;
alter table qr_payments add constraint qr_payments_is_its_transfer check (transfer_id = id);
drop index qr_payments_by_holder;
drop index qr_payments_by_name;
create index qr_payments_by_name on qr_payments (holder_id, payee_skeleton, created_at);

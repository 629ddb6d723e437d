-- KHQR payments: one row per code paid, beside the transfer of the same id. Written by wallet.qr.
create table qr_payments (
    id uuid primary key,
    bank text not null,
    holder_id uuid not null,
    md5 text not null check (md5 ~ '^[0-9a-f]{32}$'),
    dynamic boolean not null,
    payee_account text not null,
    payee_detail text not null default '',
    -- the words of whoever made the code, verbatim; and what a hurried eye keeps of them
    payee_name text not null,
    payee_skeleton text not null,
    currency text not null check (currency in ('KHR', 'USD')),
    amount_minor bigint not null check (amount_minor > 0),
    bill text,
    mobile text,
    store text,
    terminal text,
    purpose text,
    transfer_id uuid not null unique,
    created_at timestamptz not null
);
-- a dynamic code is one bill: it is paid once, whoever of whichever bank pays it
create unique index qr_payments_once on qr_payments (md5) where dynamic;
create index qr_payments_by_holder on qr_payments (holder_id, created_at);
create index qr_payments_by_name on qr_payments (holder_id, payee_skeleton);
select smartid_append_only('qr_payments');
select smartid_wall('qr_payments');

-- Which of these codes are paid already, across the banks' walls: it answers no more than that.
create function qr_codes_paid(codes text[]) returns table (md5 text, id uuid)
language sql stable security definer set search_path = public, pg_temp as $$
    select p.md5, p.id from qr_payments p where p.dynamic and p.md5 = any(codes)
$$;

-- What one clerk of a bank asks for and another approves: a holder's tier, the settling of a
-- shortfall. Written by wallet.operations alone.
create table bank_requests (
    id uuid primary key,
    bank text not null,
    act text not null check (act in ('tier', 'shortfall')),
    -- the holder of a tier; the transfer that suspense stood in by
    subject uuid not null,
    holder_id uuid,
    body jsonb not null,
    why text not null check (why <> ''),
    state text not null check (state in ('REQUESTED', 'APPROVED', 'DONE', 'DECLINED')),
    reason text,
    settled_by uuid,
    maker uuid not null references staff (id),
    checker uuid references staff (id),
    asked_at timestamptz not null,
    approved_at timestamptz,
    done_at timestamptz,
    constraint bank_requests_four_eyes check (maker <> checker),
    constraint bank_requests_steps check (
        (state = 'REQUESTED') = (checker is null)
        and (checker is null) = (approved_at is null)
        and (state in ('DONE', 'DECLINED')) = (done_at is not null)
        and (state = 'DECLINED') = (reason is not null)
        and (act = 'shortfall' and state = 'DONE') = (settled_by is not null))
);
create index bank_requests_newest on bank_requests (bank, id desc);
create index bank_requests_subject on bank_requests (subject, id desc);
-- A shortfall is settled once, whatever two pairs of clerks approve at the same moment.
create unique index bank_requests_settle_once on bank_requests (subject)
    where act = 'shortfall' and state in ('APPROVED', 'DONE');
select smartid_table('bank_requests');
revoke delete on bank_requests from smartid_app;
select smartid_wall('bank_requests');

-- What a top-up costs beside its price, in the same currency; held and ended with it.
alter table topups add column fee_minor bigint not null default 0 check (fee_minor >= 0);

create index shortfalls_newest on shortfalls (bank, at desc, transfer_id desc);

select smartid_open('bank_requests', 'bank', 'select, insert, update');
select smartid_open('shortfalls', 'bank', 'select');
select smartid_open('limit_tiers', 'bank', 'insert, update, delete');

insert into role_permissions (role, permission) values
    ('maker', 'operations.ask'), ('checker', 'operations.approve');

-- The entries of one house account of the caller's bank, newest first, each with the balance after
-- it. Clerks read no transfers: this answers of no wallet, and only what nothing can appear below.
create function house_entries(house bigint, before bigint, most integer)
returns table (seq bigint, transfer_id uuid, kind text, phase text, amount_minor bigint,
               currency text, at timestamptz, reference uuid, balance_minor numeric)
language plpgsql stable security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
    upto bigint;
    known_seq bigint;
    known_minor numeric;
begin
    select least(before, coalesce(p.seq, 0) + 1) into upto
    from accounts a left join journal_positions p on p.bank = a.bank
    where a.id = house and a.holder_id is null
      and a.bank = current_setting('smartid.bank', true);
    if upto is null then
        return;
    end if;
    select c.seq, c.credits_posted - c.debits_posted into known_seq, known_minor
    from balance_checkpoints c where c.account_id = house and c.seq < upto
    order by c.seq desc limit 1;
    known_seq := coalesce(known_seq, 0);
    known_minor := coalesce(known_minor, 0) + coalesce((
        select sum(l.credits_posted - l.debits_posted) from transfer_legs l
        where l.account_id = house and l.seq > known_seq and l.seq < upto), 0);
    return query
    with sides as (
        (select t.seq, t.id, t.kind, t.phase, -t.amount_minor as moved, t.currency, t.at,
                t.reference
         from transfers t
         where t.debit_account_id = house and t.seq < upto and t.amount_minor > 0
           and t.phase in ('posted', 'capture')
         order by t.seq desc limit most)
        union all
        (select t.seq, t.id, t.kind, t.phase, t.amount_minor, t.currency, t.at, t.reference
         from transfers t
         where t.credit_account_id = house and t.seq < upto and t.amount_minor > 0
           and t.phase in ('posted', 'capture')
         order by t.seq desc limit most)
    ), page as (
        select * from sides s order by s.seq desc limit most
    )
    select s.seq, s.id, s.kind, s.phase, s.moved, s.currency, s.at, s.reference,
           known_minor - coalesce(sum(s.moved) over (
               order by s.seq desc rows between unbounded preceding and 1 preceding), 0)
    from page s order by s.seq desc;
end $$;
revoke execute on function house_entries(bigint, bigint, integer) from public;
grant execute on function house_entries(bigint, bigint, integer) to smartid_app, smartid_bank;

-- What was used of each limit: one row per subject (a holder or a card), measure and window.
-- Written by wallet.limits. `start` is the window's first day in Phnom Penh. Only amount, uses and
-- version ever change, none of them indexed, so an update stays on its page (HOT).
create table limit_counters (
    subject uuid not null,
    measure text not null,
    start date not null,
    version integer not null,
    amount_minor bigint not null check (amount_minor >= 0),
    uses integer not null check (uses >= 0),
    bank text not null,
    primary key (subject, measure, start)
) with (fillfactor = 60);
-- for forgetting old windows; a block range costs an insert next to nothing
create index limit_counters_start on limit_counters using brin (start) with (pages_per_range = 32);
select smartid_table('limit_counters');
select smartid_wall('limit_counters');

-- Who is not fully identified; everybody else is.
create table limit_tiers (
    holder_id uuid primary key,
    bank text not null,
    tier text not null check (tier in ('basic', 'partial')),
    changed_at timestamptz not null
);
select smartid_table('limit_tiers');
select smartid_wall('limit_tiers');

-- The days that count already: holds and posted transfers of the last 35 days, what was given back
-- taken off, so that an upgrade in the middle of a day forgets nothing.
insert into limit_counters (subject, measure, start, version, amount_minor, uses, bank)
select a.holder_id, 'day/any/any/' || t.currency,
       (t.at at time zone 'Asia/Phnom_Penh')::date, 1,
       sum(case when r.phase in ('void', 'expiry') then 0
                else coalesce(r.amount_minor, t.amount_minor) end),
       count(*) filter (where r.phase is null or r.phase = 'capture'), t.bank
from transfers t
join accounts a on a.id = t.debit_account_id and a.kind = 'wallet'
left join transfers r on r.pending_id = t.id
where t.phase in ('posted', 'hold') and t.kind in ('qr_payment', 'topup', 'transfer')
  and t.at >= now() - interval '35 days'
group by 1, 2, 3, t.bank;

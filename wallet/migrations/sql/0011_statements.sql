-- The day close reads one stretch of the journal by `seq`, which is the order on disk. A range
-- index writes nothing per row (decision 0023); another follower of the journal may have made it.
create index if not exists transfers_written on transfers using brin (seq)
    with (pages_per_range = 32, autosummarize = on);
grant select on sequence transfers_seq_seq to smartid_app;

-- A transfer as what it does to the counters of its two accounts.
create view transfer_legs with (security_invoker = true) as
    select t.seq, t.at, t.bank, t.currency, t.debit_account_id as account_id,
           case when t.phase = 'hold' then t.amount_minor
                when t.pending_id is not null then -coalesce(
                    (select h.amount_minor from transfers h
                     where h.id = t.pending_id and h.phase = 'hold'), 0)
                else 0 end as debits_pending,
           case when t.phase in ('posted', 'capture') then t.amount_minor else 0 end
               as debits_posted,
           0::bigint as credits_pending,
           0::bigint as credits_posted
    from transfers t
    union all
    select t.seq, t.at, t.bank, t.currency, t.credit_account_id,
           0::bigint, 0::bigint,
           case when t.phase = 'hold' then t.amount_minor
                when t.pending_id is not null then -coalesce(
                    (select h.amount_minor from transfers h
                     where h.id = t.pending_id and h.phase = 'hold'), 0)
                else 0 end,
           case when t.phase in ('posted', 'capture') then t.amount_minor else 0 end
    from transfers t;
grant select on transfer_legs to smartid_app;

-- Per bank, how far its journal is final: no transfer up to `seq` can appear any more, because
-- every transaction that could have drawn such a number has ended. `marked_at` is when the mark was
-- taken; `coming_*` is the next mark, waiting for those transactions. `checkpoint_seq` is how far
-- checkpoints reach, `latest_at` the latest moment of any transfer up to there.
create table journal_positions (
    bank text primary key,
    seq bigint not null default 0,
    marked_at timestamptz not null default '-infinity',
    coming_seq bigint,
    coming_xid xid8,
    coming_at timestamptz,
    checkpoint_seq bigint not null default 0,
    latest_at timestamptz not null default '-infinity',
    constraint journal_positions_coming
        check ((coming_seq is null) = (coming_xid is null)
               and (coming_seq is null) = (coming_at is null)),
    constraint journal_positions_order check (checkpoint_seq <= seq)
);
select smartid_table('journal_positions');
revoke delete on journal_positions from smartid_app;
select smartid_wall('journal_positions');

-- An account's four counters as they stood after its last entry up to `seq`; none of those entries
-- is later than `latest_at`. So a balance in the past never adds up history.
create table balance_checkpoints (
    account_id bigint not null,
    seq bigint not null,
    bank text not null,
    latest_at timestamptz not null,
    debits_pending bigint not null check (debits_pending >= 0),
    debits_posted bigint not null check (debits_posted >= 0),
    credits_pending bigint not null check (credits_pending >= 0),
    credits_posted bigint not null check (credits_posted >= 0),
    primary key (account_id, seq)
);
create index balance_checkpoints_moments on balance_checkpoints (account_id, latest_at, seq);
select smartid_append_only('balance_checkpoints');
select smartid_wall('balance_checkpoints');

-- Business days of a bank: one after the other, the newest not closed. Transfers up to `cut_seq`
-- and after the day before's belong to the day.
create table business_days (
    bank text not null,
    day date not null,
    state text not null check (state in ('OPEN', 'CLOSING', 'CLOSED')),
    settles_on date not null,
    cut_seq bigint,
    entries bigint,
    late_entries bigint,
    difference text,
    opened_at timestamptz not null,
    closed_at timestamptz,
    primary key (bank, day),
    constraint business_days_settle_later check (settles_on > day),
    constraint business_days_closed check (
        (state = 'CLOSED') = (cut_seq is not null) and (state = 'CLOSED') = (closed_at is not null)
        and (state = 'CLOSED') = (entries is not null)
        and (state = 'CLOSED') = (late_entries is not null)
        and (difference is null or state = 'CLOSING'))
);
create unique index business_days_one_unclosed on business_days (bank) where state <> 'CLOSED';
select smartid_table('business_days');
revoke delete on business_days from smartid_app;
select smartid_wall('business_days');

create function smartid_closed_day() returns trigger language plpgsql as $$
begin
    if old.state = 'CLOSED' then
        raise exception 'business day % of % is closed', old.day, old.bank
            using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger closed_stays before update on business_days
    for each row execute function smartid_closed_day();

-- What every kind of account stood at when the day closed, and what moved on it. Frozen.
create table trial_balances (
    bank text not null,
    day date not null,
    currency text not null,
    kind text not null,
    day_debits bigint not null check (day_debits >= 0),
    day_credits bigint not null check (day_credits >= 0),
    debits_posted bigint not null check (debits_posted >= 0),
    credits_posted bigint not null check (credits_posted >= 0),
    debits_pending bigint not null check (debits_pending >= 0),
    credits_pending bigint not null check (credits_pending >= 0),
    primary key (bank, day, currency, kind)
);
select smartid_append_only('trial_balances');
select smartid_wall('trial_balances');

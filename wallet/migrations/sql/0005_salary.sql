-- Salary: the file as sent, the run it becomes, its lines, and each bank's share of the work.
-- Written by wallet.salary alone.

create table salary_runs (
    id uuid primary key,
    agency text not null references agencies (id),
    state text not null
        check (state in ('RECEIVED', 'CHECKED', 'REFUSED', 'APPROVED', 'PAYING', 'PAID')),
    sha256 bytea not null check (octet_length(sha256) = 32),
    size_bytes bigint not null,
    period text check (period ~ '^20[0-9]{2}-(0[1-9]|1[0-2])$'),
    half smallint check (half in (1, 2)),
    maker uuid not null,
    checker uuid,
    -- which reading of the file the lines belong to: a check begun again fences the one before
    reading integer not null default 0,
    lines integer not null default 0,
    -- as written, over all lines; null when it is no whole riel
    sum_minor bigint,
    accepted_lines integer not null default 0,
    accepted_minor bigint not null default 0,
    held_lines integer not null default 0,
    held_minor bigint not null default 0,
    rejected_lines integer not null default 0,
    rejected_minor bigint not null default 0,
    flagged_lines integer not null default 0,
    faults jsonb not null default '[]',
    received_at timestamptz not null,
    checked_at timestamptz,
    approved_at timestamptz,
    paid_at timestamptz,
    constraint salary_runs_four_eyes check (maker <> checker),
    check ((state in ('APPROVED', 'PAYING', 'PAID')) = (checker is not null)),
    check ((checker is null) = (approved_at is null)),
    check ((period is null) = (half is null)),
    check (period is not null or state in ('RECEIVED', 'REFUSED')),
    check ((state = 'PAID') = (paid_at is not null))
);
-- one file, and one file a period and half, is paid once; what was refused may be sent anew
create unique index salary_runs_file on salary_runs (agency, sha256) where state <> 'REFUSED';
create unique index salary_runs_period on salary_runs (agency, period, half)
    where state <> 'REFUSED' and period is not null;
create index salary_runs_by_agency on salary_runs (agency, id);
select smartid_table('salary_runs');
revoke delete on salary_runs from smartid_app;

-- The bytes as sent, in parts. They name people of every bank: only a Work across banks sees them.
create table salary_files (
    run_id uuid not null references salary_runs (id),
    part integer not null,
    bank text not null default '*' check (bank = '*'),
    bytes bytea not null,
    primary key (run_id, part)
);
alter table salary_files alter column bytes set storage external;
select smartid_append_only('salary_files');
select smartid_wall('salary_files');

-- No foreign key to runs or holders: a check writes a quarter of a million rows at a time, all of
-- one run it holds locked, with people it has just read. `bank` is '*' where nobody was found.
create table salary_lines (
    run_id uuid not null,
    line_no integer not null,
    bank text not null,
    state text not null check (state in ('PENDING', 'HELD', 'REJECTED', 'PAID', 'RETURNED')),
    code text,
    other_line integer,
    staff_no text not null,
    account_no text not null,
    amount_minor bigint not null check (amount_minor >= 0),
    holder_id uuid,
    account_id bigint,
    transfer_id uuid,
    primary key (run_id, line_no),
    check (state in ('HELD', 'REJECTED')
           or (holder_id is not null and account_id is not null and amount_minor > 0)),
    check ((state = 'PAID') = (transfer_id is not null)),
    check (state in ('PENDING', 'PAID') or code is not null)
) with (fillfactor = 50);
-- Every good line changes once, from PENDING to PAID: `state` stands in no index and pages are
-- left half empty, so that a line's new version stays on its page and no index is written again.
create index salary_lines_by_bank on salary_lines (run_id, bank, line_no);
create index salary_lines_told on salary_lines (run_id, line_no) where code is not null;
select smartid_table('salary_lines');
select smartid_wall('salary_lines');

-- Each bank's share of a run and how far it is paid: one row a bank, so banks never wait.
create table salary_shares (
    run_id uuid not null references salary_runs (id),
    bank text not null,
    payable_lines integer not null check (payable_lines > 0),
    payable_minor bigint not null,
    paid_lines integer not null default 0,
    paid_minor bigint not null default 0,
    returned_lines integer not null default 0,
    returned_minor bigint not null default 0,
    primary key (run_id, bank),
    check (paid_lines + returned_lines <= payable_lines),
    check (paid_minor + returned_minor <= payable_minor)
);
select smartid_table('salary_shares');
select smartid_wall('salary_shares');

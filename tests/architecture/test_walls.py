"""The privacy wall, read from the catalogue of a migrated database: every table is behind the wall
of its bank, or stands here with the reason why not; every role has the grants that are written
down, and a new table is covered unasked."""

from typing import Any

import asyncpg
import pytest

from wallet.disclosure import SECTIONS
from wallet.work import ROLES

OF_NO_HOLDER = {
    "agencies": "the programme's own list",
    "alembic_version": "the migrations' own",
    "banks": "the programme's own list",
    "event_positions": "how far followers have read",
    "jobs": "the worker's list of ids to look after; callers may only add (see the grants)",
    "public_holidays": "days",
    "emergency_access": "of staff: whose data was opened stands in the audit",
    "machine_nonces": "of machines",
    "passkey_challenges": "of staff",
    "passkey_tickets": "of staff",
    "passkeys": "of staff",
    "role_changes": "of staff",
    "role_permissions": "what a role allows",
    "seal_keys": "public keys",
    "seal_positions": "how far the log is sealed",
    "seal_signatures": "signatures over roots",
    "seal_verified": "how far a proof was right",
    "seals": "hashes of rows",
    "simulation": "faults and a clock, of a demonstration",
    "simulation_tokens": "an imagined service's memory: ids of tokens and their states",
    "staff": "those who look, not those who are looked at",
    "staff_roles": "what roles there are",
    "staff_sessions": "of staff",
    "vault_wrapping": "a number",
}
"""Tables without row security, and why."""

BY_OTHER_MEANS = {
    "audit": "anybody adds, only the noted bank reads; a holder's feed goes through audit_of()",
    "idempotency": "walled by caller: an answer is read by whoever asked",
    "pairings": "nobody's until confirmed, then walled by bank",
    "salary_runs": "an agency's, not a bank's: officers see their own agency's",
    "vault_keys": "wrapped keys; an officer sees none of a person or of cards",
}
"""Walled, but not by `smartid_wall`."""

WHAT_TO_DO = (
    "a table with holder data carries `bank` and gets `select smartid_wall('{table}');` in its "
    "migration, beside smartid_table or smartid_append_only; then `select smartid_open('{table}', "
    "'mobile', 'select, insert')` for each kind of caller whose acts need it (door, mobile, atm, "
    "bank, agency, support; the worker may already). A table that tells nothing of a holder goes "
    "into OF_NO_HOLDER here, with its reason"
)

MINISTRY_NEVER = frozenset(
    {
        "accounts",
        "transfers",
        "transfer_legs",
        "open_holds",
        "reversals",
        "shortfalls",
        "exchanges",
        "qr_payments",
        "topups",
        "balance_checkpoints",
        "virtual_cards",
        "card_changes",
        "atm_card_requests",
        "disputes",
        "dispute_events",
        "refunds",
        "inbox",
        "intents",
        "limit_counters",
        "otp_challenges",
        "otp_standing",
        "push_addresses",
        "pins",
        "devices",
        "sessions",
        "control_sheets",
        "control_evaluations",
        "control_shadows",
        "authorisations",
        "authorisation_events",
        "authorisation_cases",
        "open_authorisations",
        "purchase_challenges",
        "purchase_habits",
        "card_tokens",
        "card_standing_uses",
        "emergency_access",
        "role_changes",
    }
)
"""What the ministry's officers never read: spending, cards, disputes, and how people sign."""

BANK_NEVER = frozenset(
    {
        "virtual_cards",
        "card_changes",
        "disputes",
        "dispute_events",
        "refunds",
        "salary_runs",
        "salary_lines",
        "salary_files",
        "salary_shares",
        "qr_payments",
        "topups",
        "exchanges",
        "inbox",
        "intents",
        "transfers",
        "pins",
        "otp_standing",
        "otp_challenges",
        "control_evaluations",
        "control_shadows",
        "authorisations",
        "authorisation_events",
        "authorisation_cases",
        "open_authorisations",
        "purchase_challenges",
        "purchase_habits",
        "card_tokens",
        "card_standing_uses",
        "emergency_access",
        "role_changes",
    }
)
"""What a bank's clerks never read."""

NAMES_NOBODY_MORE = {"holders": "identity", "holder_names": "identity"}
"""Tables a section of the export reads under another name."""

_TABLES = """
select c.relname as name, c.relrowsecurity as walled,
       exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'bank'
               and not a.attisdropped) as has_bank,
       coalesce((select array_agg(a.attname::text) from pg_attribute a
                 where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
                '{}') as columns,
       coalesce((select array_agg(pg_get_expr(p.polqual, c.oid)) from pg_policy p
                 where p.polrelid = c.oid and p.polpermissive), '{}') as policies
from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
"""

_MAY_READ = """
select c.relname as name from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
  and has_any_column_privilege($1, c.oid, 'select')
"""


@pytest.fixture
async def catalogue(database_url: str) -> dict[str, Any]:
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(_TABLES)
        readable = {
            role: {row["name"] for row in await connection.fetch(_MAY_READ, role)}
            for role in {*ROLES.values(), "smartid_app"}
        }
    finally:
        await connection.close()
    return {"tables": {row["name"]: row for row in rows}, "readable": readable}


async def test_every_table_is_walled_or_says_why_not(catalogue: dict[str, Any]) -> None:
    told = []
    for name, table in catalogue["tables"].items():
        if name in OF_NO_HOLDER:
            if table["walled"] or "holder_id" in table["columns"]:
                told.append(f"{name} is walled or names a holder: take it off OF_NO_HOLDER")
        elif not table["walled"]:
            told.append(f"{name} stands without a wall: {WHAT_TO_DO.format(table=name)}")
        elif name not in BY_OTHER_MEANS and not _walled_by_bank(table):
            told.append(f"{name} has another wall than its bank's: {WHAT_TO_DO.format(table=name)}")
    assert not told, "\n".join(told)
    gone = (OF_NO_HOLDER.keys() | BY_OTHER_MEANS.keys()) - catalogue["tables"].keys()
    assert not gone, f"no such tables any more: {sorted(gone)}"


def _walled_by_bank(table: Any) -> bool:
    (policy,) = table["policies"]
    return table["has_bank"] and "current_setting('smartid.bank'" in policy and "bank =" in policy


async def test_the_ministry_reads_no_spending_and_a_bank_no_cards(
    catalogue: dict[str, Any],
) -> None:
    readable = catalogue["readable"]
    assert readable["smartid_agency"] & MINISTRY_NEVER == set()
    assert readable["smartid_bank"] & BANK_NEVER == set()
    assert readable["smartid_door"] & (MINISTRY_NEVER - {"devices", "pins", "sessions"}) <= {
        "otp_standing"
    }
    people = {
        name for name, table in catalogue["tables"].items()
        if {"holder_id", "account_id"} & set(table["columns"]) or name in ("holders", "accounts")
    }  # fmt: skip
    assert len(people) > 30, "what this looks through"
    assert not readable["smartid_admin"] & people, "who looks after staff reads no people"
    for role in readable.keys() - {"smartid_worker", "smartid_app"}:
        assert not readable[role] & {"audit", "salary_files"} or role == "smartid_agency"


async def test_the_worker_may_read_every_table_and_holds_no_more_than_the_application(
    catalogue: dict[str, Any],
) -> None:
    readable = catalogue["readable"]
    shut = catalogue["tables"].keys() - readable["smartid_worker"] - {"alembic_version"}
    assert not shut, f"no act can read {sorted(shut)}: smartid_table or smartid_append_only"
    assert readable["smartid_worker"] == readable["smartid_app"]


async def test_what_a_bank_may_read_of_a_person_is_in_the_export(catalogue: dict[str, Any]) -> None:
    """Complete by construction: a table opened to clerks later must become a section."""
    named = {
        NAMES_NOBODY_MORE.get(name, name)
        for name in catalogue["readable"]["smartid_bank"] & catalogue["tables"].keys()
        if "holder_id" in catalogue["tables"][name]["columns"] or name == "holders"
    }
    assert named == set(SECTIONS), "wallet.disclosure.SECTIONS is not what smartid_bank may read"

"""What must be so after the last telling, whatever was killed: nothing lost, nothing doubled.

Promise: every check answers what it found wrong in words; an empty list is a right world. The
files and prices of the story are counted against the database and against the books of the world
outside, not against what the wallet believes of itself.
"""

import asyncio
import csv
import io
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from notifications.delivery import deliver_next
from runtime import seed
from runtime.demo import people, shopping, story
from runtime.demo.memory import period_of
from runtime.embedded import Embedded
from tests.crash.harness import ROOT, of_folder
from wallet.authorisations.messages import Kind
from wallet.clock import SystemClock
from wallet.database import Database
from wallet.identifiers import AgencyId, HolderId
from wallet.work import Works

TOPUP = 5_000
REFUNDED = story.GIVEN_BACK + story.COOKER
KEPT_OF_REFUNDS = story.COFFEE + story.COOKER - REFUNDED
"""Riel that a telling's two payments cost in the end, once both cases are closed."""

SPENT = 2 * TOPUP + KEPT_OF_REFUNDS + shopping.TAKEN
"""Riel that a telling costs its player."""


def faults_of(data: Path) -> list[str]:
    """Everything wrong that was found; call it once nothing of the demo should run any more."""
    left = [f"still running: {one.command[:120]}" for one in of_folder(data)]
    if left:
        return left
    with Embedded.open(data) as servers:
        faults = asyncio.run(_faults(servers.database_url, data))
        proof = subprocess.run(
            [sys.executable, "-m", "runtime", "--data", str(data), "prove"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
    if proof.returncode:
        faults.append(f"prove: {proof.stdout}{proof.stderr}")
    return faults + [f"still running: {one.command[:120]}" for one in of_folder(data)]


async def _faults(url: str, data: Path) -> list[str]:
    await _catch_up(url)
    memory = json.loads((data / "demo-story.json").read_text())
    tellings = int(memory["day"])
    connection = await asyncpg.connect(url)
    try:
        return [
            *await _salary(connection, tellings),
            *await _wallets(connection, tellings),
            *await _inbox(connection),
            *await _top_ups(connection, data, tellings),
            *await _payments(connection, tellings),
            *await _purchases(connection, tellings),
            *await _cards(connection, tellings),
            *await _jobs(connection),
            *_messages(data),
        ]
    finally:
        await connection.close()


async def _catch_up(url: str) -> None:
    """The worker's own step: what was committed in the last moment reaches the inboxes too."""

    async def nobody(holders: Sequence[HolderId]) -> None:
        return None

    database = await Database.connect(url)
    try:
        works = Works(database, SystemClock())
        while await deliver_next(works, nobody):
            pass
    finally:
        await database.close()


async def _salary(connection: Any, tellings: int) -> list[str]:
    """Each line of each file is one credit of its amount, of a run of its own half month."""
    faults = []
    runs = await connection.fetch("select id, agency, period, half, state from salary_runs")
    by_day = {(run["agency"], run["period"], run["half"]): run for run in runs}
    if len(runs) != tellings:
        faults.append(f"{len(runs)} salary runs for {tellings} tellings")
    for day in range(tellings):
        period, half = period_of(day)
        run = by_day.get((people.player_of(day).agency, period, half))
        if run is None or run["state"] != "PAID":
            faults.append(f"the run of {period}/{half} is {run and run['state']}")
            continue
        paid = Counter(
            (row["number"], row["amount_minor"])
            for row in await connection.fetch(_SALARY_CREDITS, run["id"])
        )
        wanted = Counter(_lines(day))
        if paid != wanted:
            faults.append(f"{period}/{half}: lost {wanted - paid}, doubled {paid - wanted}")
    return faults


_SALARY_CREDITS = """
select a.number, t.amount_minor from transfers t join accounts a on a.id = t.credit_account_id
where t.kind = 'salary' and t.reference = $1
"""


def _lines(day: int) -> list[tuple[str, int]]:
    """(account, riel) of each line of the file a telling sends."""
    period, half = period_of(day)
    agency = AgencyId(people.player_of(day).agency)
    text = seed.salary_file(agency, period=period, half=half).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))[1:-1]
    return [(row[1], int(row[4])) for row in rows]


async def _wallets(connection: Any, tellings: int) -> list[str]:
    """To the riel: each wallet holds its salaries, less what its holder spent in the story."""
    wanted: Counter[str] = Counter()
    for day in range(tellings):
        for account, riel in _lines(day):
            wanted[account] += riel
        player = seed.payee(people.player_of(day)).account_no
        wanted[player] -= SPENT
    faults = []
    for row in await connection.fetch(_RIEL_WALLETS):
        if row["available"] != wanted[row["number"]] or row["pending"]:
            faults.append(
                f"wallet {row['number']} holds {row['available']} ({row['pending']} held), "
                f"not {wanted[row['number']]}"
            )
    return faults


_RIEL_WALLETS = """
select number, credits_posted - debits_posted - debits_pending as available,
       debits_pending as pending
from accounts where holder_id is not null and currency = 'KHR'
"""


async def _inbox(connection: Any) -> list[str]:
    found = await connection.fetchrow(_TOLD)
    return [f"events and inbox entries: {dict(found)}"] if any(found.values()) else []


_TOLD = """
select (select count(*) from events e where not exists
            (select 1 from inbox i where i.event_seq = e.seq)) as untold,
       (select count(*) from inbox i where not exists
            (select 1 from events e where e.seq = i.event_seq
             and e.holder_id = i.holder_id)) as invented,
       (select count(*) - count(distinct event_seq) from inbox) as doubled
"""


async def _top_ups(connection: Any, data: Path, tellings: int) -> list[str]:
    faults = []
    delivered: Counter[str] = Counter()
    with closing(sqlite3.connect(data / "simulator-telco.sqlite")) as books:
        for ref, taken_back in books.execute("select ref, taken_back from deliveries"):
            delivered[ref] += 0 if taken_back else 1
    rows = await connection.fetch(_TOP_UPS)
    for row in rows:
        wanted = {"SUCCEEDED": (1, "capture"), "FAILED": (0, "void")}.get(row["state"])
        seen = (delivered.pop(str(row["id"]), 0), row["phase"])
        if wanted != seen:
            faults.append(f"top-up {row['id']} {row['state']}: delivered, resolved {seen}")
    if delivered:
        faults.append(f"delivered without a top-up: {dict(delivered)}")
    bought = sum(row["state"] == "SUCCEEDED" for row in rows)
    if bought != 2 * tellings:
        faults.append(f"{bought} top-ups for {tellings} tellings")
    return faults


_TOP_UPS = """
select p.id, p.state, t.phase from topups p left join transfers t on t.pending_id = p.id
"""


async def _payments(connection: Any, tellings: int) -> list[str]:
    """QR payments and refunds, each as often as the story tells."""
    found = await connection.fetchrow(_PAYMENTS)
    wanted = {
        "codes": 2 * tellings,
        "paid": 2 * tellings,
        "cases": 2 * tellings,
        "open_cases": tellings,
        "refunds": 2 * tellings,
        "refunded": 2 * tellings,
        "refunded_minor": REFUNDED * tellings,
    }
    differing = {
        name: (found[name], wanted[name]) for name in wanted if found[name] != wanted[name]
    }
    return [f"payments (found, wanted): {differing}"] if differing else []


_PAYMENTS = """
select (select count(distinct md5) from qr_payments) as codes,
       (select count(*) from transfers where kind = 'qr_payment') as paid,
       (select count(*) from disputes) as cases,
       (select count(*) from disputes where state = 'OPEN') as open_cases,
       (select count(*) from refunds where state = 'PAID') as refunds,
       (select count(*) from transfers where kind = 'refund') as refunded,
       (select coalesce(sum(amount_minor), 0) from transfers where kind = 'refund')
           as refunded_minor
"""


async def _purchases(connection: Any, tellings: int) -> list[str]:
    """Each telling: one purchase held, then cleared once for less, and one declined."""
    seen = Counter(
        (tuple(row["kinds"]), row["reason"], row["paid"])
        for row in await connection.fetch(_PURCHASES)
    )
    bought = ((Kind.AUTHORIZATION, Kind.CLEARING), None, shopping.TAKEN)
    declined = ((Kind.AUTHORIZATION,), "card_frozen", 0)
    wanted = Counter({bought: tellings, declined: tellings})
    return [f"purchases (found, wanted): {seen}, {wanted}"] if seen != wanted else []


_PURCHASES = """
select array_agg(e.kind order by e.place) as kinds, max(e.reason) as reason,
       sum(e.paid_minor) as paid
from authorisations a join authorisation_events e on e.authorisation_id = a.id
group by a.id
"""


async def _cards(connection: Any, tellings: int) -> list[str]:
    """No card is left behind live, and those that were used were made once: for the app's own
    sake and for the shop's."""
    cards = await connection.fetch("select channel, state from virtual_cards")
    states = Counter((card["channel"], card["state"]) for card in cards)
    closed = {channel: states.pop((channel, "CLOSED"), 0) for channel in ("app", "atm")}
    # Of those from the ATM, some are reversed or lapse: by the story, or while all was down.
    strange = [key for key in states if key not in (("atm", "REVERSED"), ("atm", "EXPIRED"))]
    if strange or closed != {"app": 2 * tellings, "atm": tellings}:
        return [f"cards after {tellings} tellings: closed {closed}, others {dict(states)}"]
    return []


async def _jobs(connection: Any) -> list[str]:
    dead = await connection.fetch("select name, last_error from jobs where dead")
    return [f"jobs set aside: {[tuple(job) for job in dead]}"] if dead else []


def _messages(data: Path) -> list[str]:
    """Texts are kept once by their reference, and nobody was told the same twice."""
    with closing(sqlite3.connect(data / "simulator-sms_gateway.sqlite")) as gateway:
        rows = gateway.execute("select ref, recipient, text from messages").fetchall()
    refs = Counter(ref for ref, _, _ in rows)
    texts = Counter((recipient, text) for _, recipient, text in rows)
    twice = [key for counted in (refs, texts) for key, count in counted.items() if count > 1]
    return [f"sent twice: {twice}"] if twice else []

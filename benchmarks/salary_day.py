"""A salary file of the whole civil service: from upload to the last credit and last inbox entry.

One process receives, checks, approves and pays, as the worker does; another writes the inboxes.
Aim: 220,000 lines in under 60 s on 2 cores, no process above 600 MB.
"""

import asyncio
import hashlib
import multiprocessing
import resource
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import uvloop
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.ground import ground
from notifications.delivery import deliver_next
from runtime import cambodia
from simulators.agency import Payee, salary_csv
from wallet.access.members import Member, Permission, Role, StaffKind
from wallet.clock import SystemClock
from wallet.database import Database
from wallet.identifiers import (
    AgencyId,
    BankId,
    HolderId,
    SalaryRunId,
    SmartIdId,
    StaffId,
    new_id,
)
from wallet.jobs import Again
from wallet.money import Currency
from wallet.outcomes import Done
from wallet.registry import agencies, banks, enrolment
from wallet.registry.enrolment import Newcomer
from wallet.registry.holders import Holder, HolderStatus
from wallet.salary import runs
from wallet.salary.check import check
from wallet.salary.pay import pay
from wallet.salary.runs import Run, RunState, Upload
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.vault.keystore import SoftwareKeyStore
from wallet.work import SYSTEM, Work, Works

T = TypeVar("T")

AGENCY: Final = AgencyId("MCS")
PART: Final = 512 * 1024
AT_ONCE: Final = 5_000


class Figures(Struct, frozen=True, kw_only=True):
    """Seconds from the first byte sent; peak memory in MB, of the payer and the inbox writer."""

    lines: int
    checked_s: float
    credited_s: float
    told_s: float
    payer_mb: int
    inbox_mb: int


def run(lines: int = 220_000) -> Figures:
    """Seed, upload, check, approve, pay, tell; print and answer the figures."""
    figures = uvloop.run(_day(lines))
    print(
        f"salary file of {figures.lines:,} lines: checked after {figures.checked_s:.1f} s, last "
        f"credit after {figures.credited_s:.1f} s, last inbox entry after {figures.told_s:.1f} s; "
        f"peak memory {figures.payer_mb} MB paying, {figures.inbox_mb} MB telling",
        flush=True,
    )
    return figures


async def _day(lines: int) -> Figures:
    async with ground() as on:
        return await pay_day(on, await seed(on, lines), half=1)


async def pay_day(on: SimpleNamespace, payees: list[Payee], half: int) -> Figures:
    """One payday on a seeded server: the file of one half-month from upload to last inbox entry."""
    data = salary_csv(payees, period="2026-01", half=half)
    url = on.servers.database_url
    with (
        _inbox_writer(url) as (stop, peak),
        multiprocessing.get_context("spawn").Pool(1) as payer,
    ):
        figures = await asyncio.to_thread(payer.apply, _pay_out, (url, data, len(payees)))
        stop.set()
        inbox_mb = await asyncio.to_thread(peak.get, timeout=10)
        return replace(figures, inbox_mb=inbox_mb)


@contextmanager
def _inbox_writer(url: str) -> Iterator[tuple[Event, Any]]:
    """The process that writes the inboxes."""
    context = multiprocessing.get_context("spawn")
    ready, stop, peak = context.Event(), context.Event(), context.Queue()
    teller_of_news = context.Process(target=_tell, args=(url, ready, stop, peak), daemon=True)
    teller_of_news.start()
    ready.wait()
    try:
        yield stop, peak
    finally:
        stop.set()
        teller_of_news.join(10)


def _pay_out(url: str, data: bytes, lines: int) -> Figures:
    """Another process: receives, checks and pays, and waits for the last inbox entry."""
    return uvloop.run(_salary_day(url, data, lines))


async def _salary_day(url: str, data: bytes, lines: int) -> Figures:
    database = await Database.connect(url, largest=12, statement_timeout_s=120)
    works = Works(database, SystemClock())
    teller = Teller(works)
    maker, checker = _officer(Role.MAKER), _officer(Role.CHECKER)
    began = time.perf_counter()
    run_id = await _receive(works, maker, data)
    await check(works, run_id)
    checked_s = time.perf_counter() - began
    looked_at = await _look(works, maker, run_id)
    assert looked_at.state is RunState.CHECKED, looked_at.faults
    await _as(
        works,
        checker,
        lambda work: runs.approve(work, checker, run_id, looked_at.sha256.hex(), _proven),
    )
    await asyncio.gather(*(_pay_bank(works, teller, run_id, bank.id) for bank in banks.PROGRAMME))
    credited_s = time.perf_counter() - began
    while await works.read(SYSTEM, None, partial(_entries, run_id)) < lines:
        await asyncio.sleep(0.1)
    told_s = time.perf_counter() - began
    paid = await _look(works, maker, run_id)
    assert (paid.state, paid.paid_lines) == (RunState.PAID, lines)
    await teller.close()
    await database.close()
    return Figures(
        lines=lines,
        checked_s=checked_s,
        credited_s=credited_s,
        told_s=told_s,
        payer_mb=_peak_mb(),
        inbox_mb=0,
    )


async def _entries(run_id: SalaryRunId, work: Work) -> int:
    entries: int = await work.value(
        "select count(*) from inbox where body ->> 'run_id' = $1", str(run_id)
    )
    return entries


async def _receive(works: Works, maker: Member, data: bytes) -> SalaryRunId:
    upload = Upload(sha256=hashlib.sha256(data).digest(), size_bytes=len(data))
    parts = [data[start : start + PART] for start in range(0, len(data), PART)]
    received = await _as(works, maker, lambda work: runs.receive(work, maker, upload, parts))
    assert isinstance(received, Done)
    return SalaryRunId(type(new_id())(received.answer["run_id"]))


async def _pay_bank(works: Works, teller: Teller, run_id: SalaryRunId, bank: BankId) -> None:
    while True:
        try:
            return await pay(works, teller, run_id, bank)
        except Again as again:
            await asyncio.sleep(again.pause_s)


async def _look(works: Works, maker: Member, run_id: SalaryRunId) -> Run:
    return await _as(works, maker, lambda work: runs.run_of(work, maker, run_id))


async def _as(works: Works, member: Member, act: Callable[[Work], Awaitable[T]]) -> T:
    return await works.perform(member.actor, None, act)


async def _proven(work: Work) -> None:
    """The second factor is access's own to measure."""


def _officer(role: Role) -> Member:
    return Member(
        id=StaffId(new_id()),
        kind=StaffKind.AGENCY_OFFICER,
        name=role.value,
        roles=frozenset({role}),
        permissions=frozenset({Permission.SALARY_SEND, Permission.SALARY_APPROVE}),
        agency=AGENCY,
    )


async def seed(on: SimpleNamespace, lines: int) -> list[Payee]:
    """People with wallets, spread over the three banks."""
    works: Works = on.works
    vault = Vault(SoftwareKeyStore.open_or_create(Path(on.folder) / "master.key"))

    async def houses(work: Work) -> None:
        await banks.establish(work)
        await agencies.establish(work, cambodia.AGENCIES)

    await works.perform(SYSTEM, None, houses)
    payees: list[Payee] = []
    for start in range(0, lines, AT_ONCE):
        many = range(start + 1, min(start + AT_ONCE, lines) + 1)
        bank = banks.PROGRAMME[start // AT_ONCE % len(banks.PROGRAMME)].id
        newcomers = [_newcomer(bank, place) for place in many]
        await works.perform(SYSTEM, bank, _enrol(vault, newcomers))
        payees += [_payee(newcomer) for newcomer in newcomers]
    # Seeding is not the day: statistics as a server that has run for a while has them.
    await _analyze(on.servers.database_url)
    return payees


def _enrol(vault: Vault, newcomers: Sequence[Newcomer]) -> Callable[[Work], Awaitable[None]]:
    return lambda work: enrolment.bulk_enrol(work, vault, newcomers)


def _newcomer(bank: BankId, place: int) -> Newcomer:
    person = cambodia.person(place, AGENCY, has_card=True)
    return Newcomer(
        holder=Holder(
            id=HolderId(new_id()),
            bank=bank,
            agency=AGENCY,
            staff_no=f"{place:010d}",
            name_latin=person.name_latin,
            name_khmer=person.name_khmer,
            language="km",
            status=HolderStatus.ACTIVE,
        ),
        smart_id_id=SmartIdId(new_id()),
        serial=place,
        issued_on=date(2025, 1, 6),
    )


def _payee(newcomer: Newcomer) -> Payee:
    person = newcomer.holder
    return Payee(
        staff_no=person.staff_no,
        account_no=enrolment.wallet_number(person.bank, Currency.KHR, newcomer.serial),
        name_latin=person.name_latin,
        name_khmer=person.name_khmer,
    )


async def _analyze(url: str) -> None:
    owner = await Database.connect(url, largest=1, statement_timeout_s=60, role=None)
    try:
        await owner.run("analyze")
    finally:
        await owner.close()


def _tell(url: str, ready: Event, stop: Event, peak: Any) -> None:
    """Another process: writes the inboxes as events commit."""
    uvloop.run(_tell_until(url, ready, stop))
    peak.put(_peak_mb())


async def _tell_until(url: str, ready: Event, stop: Event) -> None:
    database = await Database.connect(url, largest=2, statement_timeout_s=60)
    works = Works(database, SystemClock())
    ready.set()
    while not stop.is_set():
        if not await deliver_next(works, _nobody_listens):
            await asyncio.sleep(0.05)
    await database.close()


async def _nobody_listens(_: Sequence[HolderId]) -> None:
    """Live streams are measured elsewhere."""


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    run()

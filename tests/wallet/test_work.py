"""A Work commits everything or nothing, answers repeats, and finds out what a lost COMMIT did."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.behind import rows_of_all_banks
from wallet.clock import SystemClock
from wallet.database import Database, UniqueViolation
from wallet.events import SecurityNotice
from wallet.identifiers import BankId, HolderId, new_id
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")


async def test_effect_event_audit_and_job_commit_together(works: Works, database: Database) -> None:
    holder = HolderId(new_id())

    async def act(work: Work) -> None:
        work.emit(SecurityNotice(holder_id=holder, what="pin_changed"))
        work.note("pin.change", str(holder), holder_id=holder)
        work.later("sms.send", {"to": "x"}, dedupe="one")
        work.later("sms.send", {"to": "x"}, dedupe="one")

    await works.perform(SYSTEM, BANK, act)
    assert len(await rows_of_all_banks(database, "select 1 from events")) == 1
    assert len(await rows_of_all_banks(database, "select 1 from audit")) == 1
    assert len(await database.rows("select 1 from jobs")) == 1


async def test_a_refusal_leaves_nothing_behind(works: Works, database: Database) -> None:
    async def act(work: Work) -> None:
        work.note("x", "y")
        await work.flush()
        raise Refused(Reason.CONFLICT)

    with pytest.raises(Refused):
        await works.perform(SYSTEM, BANK, act)
    assert await rows_of_all_banks(database, "select 1 from audit") == []


async def _count_up(work: Work) -> Outcome:
    work.note("counted", "x")
    return Done(answer={"n": 1}, secret={"code": "12345678"})


async def test_the_same_key_and_body_has_one_effect_and_one_answer(
    works: Works, database: Database
) -> None:
    first = await works.perform_once(SYSTEM, BANK, "count", "k1", b"body", _count_up)
    again = await works.perform_once(SYSTEM, BANK, "count", "k1", b"body", _count_up)
    assert first == (Done(answer={"n": 1}, secret={"code": "12345678"}), False)
    assert again == (Done(answer={"n": 1}), True)
    assert len(await rows_of_all_banks(database, "select 1 from audit")) == 1


async def test_fineract_2485_the_same_key_with_another_body_is_refused(works: Works) -> None:
    await works.perform_once(SYSTEM, BANK, "count", "k1", b"body", _count_up)
    with pytest.raises(Refused) as refused:
        await works.perform_once(SYSTEM, BANK, "count", "k1", b"other", _count_up)
    assert refused.value.reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_a_declined_answer_is_kept_and_a_refusal_frees_the_key(works: Works) -> None:
    async def decline(work: Work) -> Outcome:
        return Declined(reason=Reason.INSUFFICIENT_FUNDS, facts={"available_minor": 7})

    async def refuse(work: Work) -> Outcome:
        raise Refused(Reason.BUSY)

    with pytest.raises(Refused):
        await works.perform_once(SYSTEM, BANK, "a", "k", b"b", refuse)
    first, _ = await works.perform_once(SYSTEM, BANK, "a", "k", b"b", decline)
    again, replayed = await works.perform_once(SYSTEM, BANK, "a", "k", b"b", _count_up)
    assert replayed
    assert first == again


async def test_formance_1633_forty_callers_with_one_key_have_one_effect(
    works: Works, database: Database
) -> None:
    async def slow(work: Work) -> Outcome:
        await asyncio.sleep(0.05)
        return await _count_up(work)

    answers = await asyncio.gather(
        *(works.perform_once(SYSTEM, BANK, "count", "k", b"b", slow) for _ in range(40)),
        return_exceptions=True,
    )
    assert len(await rows_of_all_banks(database, "select 1 from audit")) == 1
    for answer in answers:
        if isinstance(answer, BaseException):
            assert isinstance(answer, Refused)
            assert answer.reason in (Reason.IN_FLIGHT, Reason.UNAVAILABLE)
        else:
            assert isinstance(answer[0], Done)
            assert answer[0].answer == {"n": 1}


async def test_formance_stack_1638_the_table_itself_keeps_one_row_a_key(database: Database) -> None:
    """P8: there nothing in the database kept two rows of one key apart."""
    row = ("holder:x", "count", "k", b"f", datetime(2026, 1, 12, tzinfo=UTC))
    sql = "insert into idempotency (caller, act, key, fingerprint, at) values ($1, $2, $3, $4, $5)"

    async def twice(work: Work) -> None:
        await work.execute(sql, *row)
        await work.execute(sql, *row)

    with pytest.raises(UniqueViolation):
        await Works(database, SystemClock()).perform(SYSTEM, BANK, twice)


async def test_trap_9_a_fault_is_no_answer_and_is_never_repeated(works: Works) -> None:
    """Stripe's first API keeps even a 500 for a key; here it leaves the key free."""
    faults = 2

    async def fall_over_twice(work: Work) -> Outcome:
        nonlocal faults
        work.note("begun", "x")
        await work.flush()
        if faults:
            faults -= 1
            raise ZeroDivisionError
        return Done(answer={"n": 1})

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await works.perform_once(SYSTEM, BANK, "count", "k", b"b", fall_over_twice)
    done = await works.perform_once(SYSTEM, BANK, "count", "k", b"b", fall_over_twice)
    assert done == (Done(answer={"n": 1}), False)


class _CutAfterCommit:
    """A connection whose COMMIT reaches the server while the reply never comes back."""

    def __init__(self, connection: Any, reaches: bool) -> None:
        self._connection = connection
        self._reaches = reaches
        self.raw = connection.raw
        self.begin = connection.begin
        self.rollback = connection.rollback

    async def commit(self) -> None:
        if self._reaches:
            await self._connection.commit()
        raise ConnectionResetError("cut")


@pytest.mark.parametrize("reaches", [True, False])
async def test_a_lost_commit_reply_is_looked_up_and_never_done_twice(
    works: Works, database: Database, reaches: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire = database.acquire
    cuts = 1

    async def cutting() -> Any:
        nonlocal cuts
        connection = await acquire()
        if cuts:
            cuts -= 1
            return _CutAfterCommit(connection, reaches)
        return connection

    monkeypatch.setattr(database, "acquire", cutting)

    async def act(work: Work) -> str:
        work.note("paid", "x")
        return "paid"

    assert await works.perform(SYSTEM, BANK, act) == "paid"
    assert len(await rows_of_all_banks(database, "select 1 from audit")) == 1


async def test_one_bank_does_not_see_another_banks_rows(works: Works) -> None:
    from wallet.ledger.chart import AccountKind, house_account
    from wallet.money import Currency

    async def open_one(work: Work) -> int:
        return await house_account(work, AccountKind.TREASURY, Currency.KHR)

    async def count(work: Work) -> int:
        seen: int = await work.value("select count(*) from accounts")
        return seen

    await works.perform(SYSTEM, BANK, open_one)
    assert await works.read(SYSTEM, BANK, count) == 1
    assert await works.read(SYSTEM, BankId("WING"), count) == 0
    assert await works.read(SYSTEM, None, count) == 1


@pytest.mark.parametrize("table", ["transfers", "events", "audit"])
async def test_the_journal_is_never_changed(database: Database, table: str) -> None:
    for sql in (f"update {table} set at = now()", f"delete from {table}", f"truncate {table}"):
        with pytest.raises(Exception, match=r"append-only|permission denied"):
            await database.rows(sql)

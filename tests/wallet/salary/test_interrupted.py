"""A salary run whose worker dies or doubles: it goes on, and each line is paid once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests import world
from tests.wallet.salary.payroll import (
    SALARY,
    Line,
    Office,
    assert_books_right,
    file_of,
)
from wallet.identifiers import BankId
from wallet.outcomes import Refused
from wallet.salary import pay as paying
from wallet.salary.check import check
from wallet.salary.pay import pay
from wallet.salary.runs import RunState
from wallet.teller import Teller
from wallet.work import Work, Works


class KilledError(BaseException):
    """Stands for the death of the worker: nothing in between may catch it."""


@pytest.fixture
def office(works: Works, teller: Teller) -> Office:
    return Office(works, teller)


async def test_a_check_killed_in_the_middle_is_begun_again(
    works: Works, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await world.people(works, 40)
    data = file_of([Line(holder=person) for person in people])
    run_id = await office.upload(data, part=600)
    with monkeypatch.context() as patch:
        _killed_after(5, "wallet.salary.check.judge", patch)
        with pytest.raises(KilledError):
            await check(works, run_id)
    assert await office.count("select count(*) from salary_lines") > 0
    assert (await office.run(run_id)).state is RunState.RECEIVED
    await check(works, run_id)
    run = await office.run(run_id)
    assert (run.state, run.lines, run.accepted_lines) == (RunState.CHECKED, 40, 40)
    assert await office.count("select count(*) from salary_lines") == 40


async def test_two_checks_at_once_read_the_file_once(works: Works, office: Office) -> None:
    people = await world.people(works, 40)
    run_id = await office.upload(file_of([Line(holder=p) for p in people]), part=600)
    await asyncio.gather(*(check(works, run_id) for _ in range(3)), return_exceptions=True)
    await check(works, run_id)
    run = await office.run(run_id)
    assert (run.state, run.accepted_lines) == (RunState.CHECKED, 40)
    assert await office.count("select count(*) from salary_lines") == 40


async def test_a_payment_killed_in_the_middle_goes_on_and_pays_each_line_once(
    works: Works, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 4: nothing is ever compensated; a line is paid, in one transaction, or it is not."""
    monkeypatch.setattr(paying, "GROUP", 7)
    people = await world.people(works, 40)
    run = await office.send(file_of([Line(holder=person) for person in people]))
    await office.approve(run)
    with monkeypatch.context() as patch:
        _killed_after(3, "wallet.salary.pay._write_lines", patch)
        with pytest.raises((KilledError, Refused)):
            await pay(works, office.teller, run.id, BankId("ACLEDA"))
    half_way = await office.run(run.id)
    assert half_way.state is RunState.PAYING
    assert 0 < half_way.paid_lines < 40
    await assert_books_right(works)
    run = await office.pay(run)
    assert (run.state, run.paid_lines, run.paid_minor) == (RunState.PAID, 40, 40 * SALARY)
    assert {await office.credited(person) for person in people} == {SALARY}
    assert await office.count("select count(*) from events where kind = 'salary.paid'") == 40
    await assert_books_right(works)


async def test_two_payment_jobs_at_once_pay_each_line_once(
    works: Works, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paying, "GROUP", 5)
    people = await world.people(works, 60)
    run = await office.send(file_of([Line(holder=person) for person in people]))
    await office.approve(run)
    await asyncio.gather(
        *(pay(works, office.teller, run.id, BankId("ACLEDA")) for _ in range(4)),
        return_exceptions=True,
    )
    run = await office.pay(run)
    assert (run.state, run.paid_lines) == (RunState.PAID, 60)
    assert {await office.credited(person) for person in people} == {SALARY}
    assert await office.count("select count(*) from transfers where kind = 'salary'") == 60
    assert await office.count("select count(*) from events where kind = 'salary.paid'") == 60
    await assert_books_right(works)


async def test_one_line_that_always_fails_keeps_nobody_else_from_their_pay(
    works: Works, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await world.people(works, 6)
    run = await office.send(file_of([Line(holder=person) for person in people]))
    await office.approve(run)
    credit = paying._credit

    async def failing(work: Work, rows: list[dict[str, object]]) -> object:
        if any(row["line_no"] == 4 for row in rows):
            raise ValueError("a defect")
        return await credit(work, rows)

    with monkeypatch.context() as patch:
        patch.setattr(paying, "_credit", failing)
        with pytest.raises(Refused):
            await pay(works, office.teller, run.id, BankId("ACLEDA"))
    assert (await office.run(run.id)).paid_lines == 5
    assert (await office.pay(run)).state is RunState.PAID
    await assert_books_right(works)


def _killed_after(calls: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies inside the call after so many: its transaction is never committed."""
    module, _, function = name.rpartition(".")
    owner = __import__(module, fromlist=[function])
    real: Callable[..., Awaitable[object]] = getattr(owner, function)
    seen = 0

    async def dying(*arguments: object) -> object:
        nonlocal seen
        seen += 1
        if seen > calls:
            raise KilledError
        return await real(*arguments)

    monkeypatch.setattr(owner, function, dying)

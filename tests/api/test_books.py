"""A bank's business days at its door and at the command: its own, and balanced."""

from collections.abc import Callable
from datetime import date, timedelta

import httpx
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from runtime import days as command
from runtime.handlers import handlers, rounds
from runtime.worker import JobRunner
from tests import world
from tests.desk import Desk
from wallet import topups
from wallet.access.sending import Channels
from wallet.clock import TurnedClock, midnight_of
from wallet.identifiers import BankId
from wallet.ledger import days
from wallet.ledger.days import CLOSE_JOB
from wallet.money import Money

MONDAY = date(2026, 1, 12)
TUESDAY = MONDAY + timedelta(days=1)


async def signed_in(
    client: httpx.AsyncClient, desk: Desk, clock: TurnedClock
) -> dict[str, dict[str, str]]:
    """Clerks of two banks."""
    headers = {}
    for login in ("maker.acleda", "checker.wing"):
        await desk.enrol(login)
        clock.advance(timedelta(seconds=30))
        headers[login] = await desk.session(login)
    return headers


async def test_the_worker_closes_the_day_and_the_bank_reads_what_it_left(
    resources: Resources,
    dialled: Callable[[Litestar], httpx.AsyncClient],
    desk: Desk,
    clock: TurnedClock,
) -> None:
    works, bank = resources.works, BankId("ACLEDA")
    holder = await world.holder(works, khr=1_000_000, usd=250)
    await rounds(resources, bank)
    acts = handlers(resources, None, Channels(sms=None), topups.Patience(grace_s=60))
    runner = JobRunner(resources.database, clock, {CLOSE_JOB: acts[CLOSE_JOB]})
    clock.advance(midnight_of(TUESDAY) - clock.now())
    assert await runner.step() == 0, "ten seconds of grace are kept"
    await world.fund(works, bank, holder.khr, Money.khr(500))
    clock.advance(timedelta(seconds=11))
    assert await runner.step() == 1
    await runner.settle()

    client = dialled(create_app(resources))
    headers = await signed_in(client, desk, clock)

    async def get(path: str, login: str = "maker.acleda") -> httpx.Response:
        return await client.get(f"/v1/bank/days{path}", headers=headers[login])

    shown = (await get("")).json()["items"]
    assert [(day["day"], day["state"], day["entries"]) for day in shown] == [
        ("2026-01-13", "OPEN", None),
        ("2026-01-12", "CLOSED", 2),
    ]
    page = (await get("?limit=1")).json()
    assert [day["day"] for day in (await get(f"?cursor={page['next']}")).json()["items"]] == [
        "2026-01-12"
    ]
    balance = (await get("/2026-01-12/trial-balance")).json()
    assert {
        (total["debits"]["display"], total["credits"]["display"]) for total in balance["totals"]
    } == {("1,000,000 KHR", "1,000,000 KHR"), ("2.50 USD", "2.50 USD")}
    assert {line["kind"] for line in balance["lines"]} == {"treasury", "wallet"}
    for path, status, code in (
        ("/2026-01-13/trial-balance", 409, "business_day_not_closed"),
        ("/2020-01-01/trial-balance", 404, "not_found"),
        ("/not-a-day/trial-balance", 404, "not_found"),
        ("/2026-02-30/trial-balance", 404, "not_found"),
    ):
        answer = await get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
    assert (await get("", "checker.wing")).json()["items"] == [], "another bank's days were shown"
    other = await get("/2026-01-12/trial-balance", "checker.wing")
    assert other.json()["code"] == "not_found"


async def test_the_command_closes_tells_and_says_why_not(
    resources: Resources, clock: TurnedClock
) -> None:
    works, bank = resources.works, "ACLEDA"
    said: list[str] = []
    assert not await command.close(bank, None, works, said.append)
    assert "no business day yet" in said[-1]
    await world.holder(works, khr=1_000_000)
    await days.open_first(works, BankId(bank))
    assert not await command.tell_trial_balance(bank, None, works, said.append)
    assert not await command.close(bank, None, works, said.append)
    assert said[-1] == "ACLEDA 2026-01-12 is not over yet"
    clock.advance(midnight_of(TUESDAY) - clock.now())
    assert await command.close(bank, None, works, said.append)
    assert said[-1].startswith("ACLEDA 2026-01-12 is closed: 1 entries, 0 of them begun before")
    assert await command.close(bank, "2026-01-12", works, said.append), "a repeat is an answer"
    for which in ("2026-01-40", "tomorrow"):
        assert not await command.close(bank, which, works, said.append)
        assert "is no date" in said[-1]
    assert not await command.close(bank, "2026-03-01", works, said.append)
    said.clear()
    assert await command.tell_trial_balance(bank, None, works, said.append)
    assert [line.split() for line in said[1:]] == [
        ["kind", "day", "debits", "day", "credits", "debits", "credits"],
        ["KHR", "treasury", "1,000,000", "0", "1,000,000", "0"],
        ["KHR", "wallet", "0", "1,000,000", "0", "1,000,000"],
        ["KHR", "all", "1,000,000", "1,000,000", "1,000,000", "1,000,000"],
    ]

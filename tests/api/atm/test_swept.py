"""The worker sweeps by itself, and after its rows went a request is refused as it was before."""

from datetime import UTC, datetime, timedelta

import msgspec

from api.resources import Resources
from runtime.handlers import handlers, rounds
from runtime.worker import JobRunner
from simulators.atm import AtmHost
from tests.api.atm.test_cards import ask, asked
from tests.wallet.cards.counter import Counter, Person
from wallet import retention, topups
from wallet.access.sending import Channels
from wallet.clock import TurnedClock
from wallet.identifiers import BankId
from wallet.work import SYSTEM, Work

ACLEDA = BankId("ACLEDA")


async def _count(resources: Resources, table: str) -> int:
    async def read(work: Work) -> int:
        return int(await work.value(f"select count(*) from {table}"))

    return await resources.works.read(SYSTEM, None, read)


async def test_b1_9_a_request_is_refused_after_its_rows_went_as_it_was_before(
    resources: Resources, host: AtmHost, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    """A copy of the signed request; the same reference signed anew; neither makes a second card."""
    body = asked(person, clock)
    copy = host.signed("POST", "/v1/atm/cards", msgspec.json.encode(body), key="key-1")
    assert (await host.send(copy)).status == 201
    assert (await host.send(copy)).code == "signature_replayed"
    clock.advance(timedelta(days=401))
    gone = await retention.sweep(resources.works, ACLEDA)
    assert (gone["machine_nonces"], gone["atm_card_requests"]) == (1, 1)
    assert (await host.send(copy)).code == "signature_stale"
    anew = await ask(host, body)
    assert (anew.status, anew.code) == (400, "invalid_request")
    assert await _count(resources, "atm_card_requests") == 0
    assert len(await counter.all_cards(person)) == 1


async def test_the_worker_sweeps_each_bank_once_an_hour_without_end_and_without_blame(
    resources: Resources, host: AtmHost, person: Person, clock: TurnedClock
) -> None:
    clock.advance(datetime.now(UTC) - clock.now())
    await ask(host, asked(person, clock))
    runner = JobRunner(
        resources.database,
        clock,
        handlers(
            resources,
            None,
            Channels(sms=None),
            topups.Patience(grace_s=60),
            None,
            {"idempotency": 10},
        ),
    )

    async def hour() -> int:
        for _ in range(2):
            await rounds(resources, ACLEDA)
        clock.advance(retention.EVERY)
        done = await runner.step()
        await runner.settle()
        return done

    for _ in range(3):
        await hour()
    jobs = await resources.database.rows(
        "select failures, dead, run_at from jobs where name = $1", retention.JOB
    )
    assert [(job["failures"], job["dead"]) for job in jobs] == [(0, False)]
    assert jobs[0]["run_at"] > clock.now()
    assert await _count(resources, "atm_card_requests") == 1
    clock.advance(timedelta(days=401))
    await hour()
    assert await _count(resources, "atm_card_requests") == 0

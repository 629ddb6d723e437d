"""A shop for top-ups in tests: a holder, the real aggregator simulator over HTTP, and a worker
that runs due jobs when a test lets time pass."""

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from runtime.operators import HttpOperators
from simulators.server import Answer, Call, Route, Server
from simulators.telco import CALLBACK_SECRET, Pace, Telco
from simulators.telco_books import Books
from tests import world
from tests.behind import rows_of_all_banks
from wallet import jobs, topups
from wallet.access import webhooks
from wallet.access.intents import Asked, Consumed, Prepared
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import (
    BankId,
    DeviceId,
    HolderId,
    IntentId,
    Secret,
    TopupId,
    TransferId,
    new_id,
)
from wallet.ledger import proof
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.ledger.statement import balances
from wallet.limits.expiring import release_due
from wallet.limits.proof import CHECKS as COUNTED
from wallet.money import Currency
from wallet.outcomes import Done, GroupAnswer, Refused
from wallet.teller import Lane, Teller
from wallet.topups.buying import Buy
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")
PATIENCE = topups.Patience(pauses_s=(2, 4, 8, 16, 32, 60, 300, 3600))
PACE = Pace(open_s=10, reverse_s=20, late_s=120)
JOBS = {
    "topup.submit": topups.submit,
    "topup.lookup": topups.lookup,
    "topup.recheck": topups.recheck,
}


class Shop:
    """Everything a top-up passes through, with time in the test's hand."""

    def __init__(
        self, database: Database, works: Works, teller: Teller, clock: TurnedClock, telco: Telco
    ) -> None:
        self.database = database
        self.works = works
        self.clock = clock
        self.telco = telco
        self.ear = Server([Route(method="POST", path="/callback", handler=self._hear)])
        self.callbacks_heard = 0
        self.callbacks_believed = 0
        self.teller = teller
        self._authorising = Lane("test.authorise", topups.BUY.authorise)

    async def open(self) -> None:
        await self.ear.start()
        self.deal_with(callbacks=True)
        self.holder = await world.holder(self.works, khr=100_000, usd=5_000)

    def deal_with(self, *, callbacks: bool) -> None:
        """Deal with the aggregator, listening to its callbacks or not."""
        self.operators = HttpOperators(
            self.telco.url,
            callback_url=f"{self.ear.url}/callback" if callbacks else None,
            answer_s=0.3,
        )
        self.desk = self.desk_with(self.operators)

    async def close(self) -> None:
        await self.operators.close()
        await self.ear.stop()

    async def prepare(self, phone: str, **fields: Any) -> Prepared | Refused:
        """What the intents room would get for this wish."""
        return (await self.prepare_all([(self.holder, wish(phone, **fields))]))[0]

    async def prepare_all(
        self, wishes: Sequence[tuple[world.WorldHolder, Buy]]
    ) -> Sequence[Prepared | Refused]:
        asked = [
            Asked(
                holder_id=holder.id,
                device_id=DeviceId(new_id()),
                bank=ACLEDA,
                language="km",
                fields=fields,
            )
            for holder, fields in wishes
        ]
        return await self.works.perform(SYSTEM, ACLEDA, lambda w: topups.BUY.prepare(w, asked))

    async def sign(self, prepared: Prepared | Refused) -> GroupAnswer:
        """What the intents room would do with the holder's signature."""
        return (await self.sign_all([(self.holder, prepared)]))[0]

    async def sign_all(
        self, signed: Sequence[tuple[world.WorldHolder, Prepared | Refused]]
    ) -> Sequence[GroupAnswer]:
        return await self.teller.ask_group(
            self._authorising,
            ACLEDA,
            [self._consumed(holder.id, prepared) for holder, prepared in signed],
        )

    async def buy(self, phone: str, **fields: Any) -> TopupId:
        """Prepare and sign; the job that sends it is waiting."""
        answer = await self.sign(await self.prepare(phone, **fields))
        assert isinstance(answer, Done), answer
        return TopupId(UUID(answer.answer["topup_id"]))

    async def work_off(self) -> None:
        """Run every job that is due now, as the worker does."""
        while due := await jobs.lease(self.database, list(JOBS), 50, self.clock.now()):
            for job in due:
                await self._run(job)

    async def wait(self, seconds: float) -> None:
        """Let time pass for everybody, in steps, with the worker and the aggregator at work."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while (now := self.clock.now()) < end:
            soonest = await self.database.rows("select min(run_at) as at from jobs where not dead")
            next_at = max(soonest[0]["at"] or end, now + timedelta(seconds=1))
            self.clock.advance(min(end, next_at) - now)
            await self.telco.tick()
            await self.work_off()

    async def topup(self, topup_id: TopupId) -> topups.Topup:
        found = await self.works.read(SYSTEM, ACLEDA, lambda w: topups.by_id(w, topup_id))
        assert found is not None
        return found

    async def state(self, topup_id: TopupId) -> str:
        return (await self.topup(topup_id)).state.value

    async def wallet(self, currency: Currency = Currency.KHR) -> tuple[int, int]:
        """Posted and held minor units of the holder's wallet."""
        account = self.holder.khr if currency is Currency.KHR else self.holder.usd

        async def query(work: Work) -> tuple[int, int]:
            balance = (await balances(work, [account]))[account]
            return balance.posted.minor, balance.held.minor

        return await self.works.read(SYSTEM, ACLEDA, query)

    async def house(self, kind: str, detail: str) -> int:
        """Credits less debits, posted riel, of one of the bank's own accounts."""

        async def query(work: Work) -> int:
            return int(await work.value(_HOUSE, kind, detail))

        return await self.works.read(SYSTEM, ACLEDA, query)

    def desk_with(
        self, operators: topups.OperatorPort, patience: topups.Patience = PATIENCE
    ) -> topups.Desk:
        """The desk, with another port or another patience."""
        return topups.Desk(
            works=self.works, teller=self.teller, operators=operators, patience=patience
        )

    async def events(self, topup_id: TopupId) -> list[str]:
        """What was published of a top-up, in order: `succeeded`, `failed`, ..."""
        rows = await rows_of_all_banks(self.database, _EVENTS, str(topup_id))
        return [row["kind"].removeprefix("topup.") for row in rows]

    async def transfers(self, topup_id: TopupId) -> list[tuple[str, str]]:
        """Kind and phase of every transfer a top-up caused, in order."""

        async def query(work: Work) -> list[tuple[str, str]]:
            return [(row["kind"], row["phase"]) for row in await work.rows(_TRANSFERS, topup_id)]

        return await self.works.read(SYSTEM, ACLEDA, query)

    async def refund(self, topup_id: TopupId) -> None:
        """Give a captured top-up's money back as a dispute does: a new entry that names it."""
        topup = await self.topup(topup_id)

        async def post(work: Work) -> None:
            loss = await house_account(work, AccountKind.DISPUTE_LOSS, topup.money.currency)
            book = await open_book(work, accounts=[loss, self.holder.khr])
            posting = Posting(
                id=TransferId(new_id()),
                debit=loss,
                credit=self.holder.khr,
                money=topup.money,
                kind=TransferKind.REFUND,
                reference=topup.resolved_by,
            )
            assert isinstance(book.post(posting), Posted)
            await book.write()

        await self.works.perform(SYSTEM, ACLEDA, post)

    async def expire_holds(self) -> int:
        return await release_due(self.works, ACLEDA)

    async def assert_books_right(self) -> None:
        checks = [*proof.CHECKS, *topups.CHECKS, *COUNTED]
        for finding in await proof.prove(self.works, checks):
            assert finding.right, f"{finding.check}: {finding.difference}"

    def sent(self, topup_id: TopupId) -> int:
        """How often the aggregator heard this top-up submitted."""
        return self.telco.books.calls(str(topup_id))

    def delivered(self, topup_id: TopupId) -> int:
        """How often airtime went out for this top-up."""
        return len(self.telco.books.deliveries(str(topup_id)))

    async def _run(self, job: jobs.Job) -> None:
        bank, topup_id = BankId(job.payload["bank"]), TopupId(UUID(job.payload["topup_id"]))
        try:
            await JOBS[job.name](self.desk, bank, topup_id)
        except jobs.Again as again:
            run_at = self.clock.now() + timedelta(seconds=again.pause_s)
            await jobs.postpone(self.database, job, run_at)
        else:
            await jobs.finish(self.database, job)

    async def _hear(self, call: Call) -> Answer:
        self.callbacks_heard += 1
        live = {"operators-provider-1": Secret(CALLBACK_SECRET.encode())}
        now = datetime.fromtimestamp(time.time(), UTC)
        if webhooks.decide_genuine(call.headers, call.body, live, now) is not None:
            self.callbacks_believed += 1
            ref = msgspec.json.decode(call.body)["external_id"]
            await topups.hinted(self.works, TopupId(UUID(ref)))
        return Answer(body={})

    def _consumed(self, holder_id: HolderId, prepared: Prepared | Refused) -> Consumed:
        assert isinstance(prepared, Prepared), prepared
        return Consumed(
            intent_id=IntentId(new_id()),
            holder_id=holder_id,
            device_id=DeviceId(new_id()),
            device_key=b"",
            bank=ACLEDA,
            money=prepared.money,
            payee=prepared.payee,
            plan=prepared.plan,
            now=self.clock.now(),
        )


_EVENTS = "select kind from events where body ->> 'reference' = $1 order by seq"
_TRANSFERS = "select kind, phase from transfers where reference = $1 order by seq"
_HOUSE = """
select credits_posted - debits_posted from accounts
where kind = $1 and detail = $2 and currency = 'KHR' and holder_id is null
"""


def wish(phone: str, **fields: Any) -> Buy:
    """The phone's fields; 5,000 riel unless told otherwise."""
    return Buy(**{"phone": phone, "amount": "5000", "currency": Currency.KHR, **fields})


def number(ending: int) -> str:
    """A Cellcard number whose last two digits choose the aggregator's behaviour."""
    return f"012 345 6{ending:02d}"


@contextlib.asynccontextmanager
async def opened(
    database: Database, works: Works, teller: Teller, clock: TurnedClock
) -> AsyncIterator[Shop]:
    async with Telco(Books(), pace=PACE, now=lambda: clock.now().timestamp(), tick_s=None) as telco:
        shop = Shop(database, works, teller, clock, telco)
        await shop.open()
        try:
            yield shop
            await shop.assert_books_right()
        finally:
            await shop.close()

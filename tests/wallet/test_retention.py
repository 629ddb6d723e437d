"""What is over goes after its time and not before; what a dispute needs stays; nobody waits."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from simulators.phone_keys import DeviceKey, unbase64url
from tests import world
from tests.desk import Desk, desk, hashing, throttle
from tests.phones import Gift, Pocket, gift, given
from tests.wallet.cards.counter import Counter, Person
from tests.wallet.disputes.counter import Counter as Cases
from tests.wallet.qr_steps import code_of
from wallet import retention
from wallet.access import machines, pairings
from wallet.access.kinds import OtpPolicy
from wallet.access.machines import Spend
from wallet.cards.rules import CardRules
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.disputes import cases, closing
from wallet.disputes.cases import Cause
from wallet.identifiers import BankId, DisputeId, PairingId, TransferId, new_id
from wallet.outcomes import Done, Outcome, Reason, Refused
from wallet.qr import PAY, PayFields
from wallet.retention import RULES, read_periods, sweep
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import SYSTEM, Work

__all__ = ["desk", "hashing", "throttle"]

BANK = BankId("ACLEDA")
LEAST = {rule.table: rule.least for rule in RULES}
SECOND = timedelta(seconds=1)
MOMENTS = {
    "intents": "created_at",
    "otp_challenges": "created_at",
    "sessions": "created_at",
    "staff_sessions": "expires_at",
    "pairings": "created_at",
    "idempotency": "at",
    "machine_nonces": "spent_at",
    "atm_card_requests": "at",
    "limit_counters": "start",
}


class House:
    """A bank's books in which every table that is swept gets a row."""

    def __init__(
        self, desk: Desk, teller: Teller, clock: TurnedClock, throttle: Throttle, person: Person
    ) -> None:
        self.desk, self.works, self.vault = desk, desk.works, desk.vault
        self.teller, self.clock, self.throttle = teller, clock, throttle
        self.person = person
        self.counter = Counter(self.works, self.vault, clock, CardRules())
        self.pocket: Pocket
        self.paid: TransferId
        self.pairing: tuple[PairingId, str]

    async def one_of_each(self) -> None:
        holder = await world.holder(self.works, khr=100_000)
        self.pocket = Pocket(self.works, self.teller, self.vault, holder, throttle=self.throttle)
        await self.pocket.pair()
        coded = gift(OtpPolicy.ALWAYS)
        await self.pocket.ask_code(await self.pocket.prepare(coded))
        await self.pay()
        await self.desk.session("dara")
        await self.works.perform(SYSTEM, BANK, self._session)
        begun = await self._begin_pairing()
        self.pairing = PairingId(UUID(begun["pairing_id"])), begun["secret"]
        await self.works.perform(SYSTEM, BANK, _spend(str(new_id())))
        outcome = await self.counter.at_atm(self.counter.request(self.person))
        assert isinstance(outcome, Done), outcome

    async def pay(self) -> TransferId:
        """A QR payment: an intent, and a counter of what the day has seen."""
        shown = await self.pocket.prepare(PAY, PayFields(code=code_of(self.clock)))
        answer = await self.pocket.authorise(PAY, shown)
        assert isinstance(answer, Done), answer
        self.paid = TransferId(UUID(answer.answer["transfer_id"]))
        return self.paid

    async def _session(self, work: Work) -> None:
        await work.execute(
            """
            insert into sessions (token_hash, bank, holder_id, device_id, created_at, last_seen_at,
                                  expires_at)
            select decode($1, 'hex'), d.bank, d.holder_id, d.id, $2, $2, $2 from devices d
            where d.holder_id = $3
            """,
            new_id().hex * 2,
            work.now,
            self.pocket.holder.id,
        )

    async def _begin_pairing(self) -> dict[str, Any]:
        """It also leaves an answer kept for a repeat."""
        public = unbase64url(DeviceKey.fresh().public)
        begun = await pairings.begin(self.works, self.vault, public, str(new_id()))
        assert isinstance(begun, Done)
        return {**begun.answer, **(begun.secret or {})}

    async def rows(self, table: str) -> int:
        return len(await self.moments(table))

    async def moments(self, table: str) -> list[Any]:
        async def read(work: Work) -> list[Any]:
            sql = f"select {MOMENTS[table]} as moment from {table} order by 1"
            return [row["moment"] for row in await work.rows(sql)]

        return await self.works.read(SYSTEM, None, read)


def _spend(nonce: str) -> Any:
    async def act(work: Work) -> Any:
        return await machines.spend_nonces(work, [Spend(keyid="acleda-1", nonce=nonce)])

    return act


@pytest.fixture
async def house(
    desk: Desk, teller: Teller, clock: TurnedClock, throttle: Throttle, vault: Vault
) -> House:
    # Ids carry the real time, and rows are found by them: here both are the same.
    clock.advance(datetime.now(UTC) - clock.now())
    await desk.enrol("dara")
    person = await Counter(desk.works, vault, clock, CardRules()).person()
    opened = House(desk, teller, clock, throttle, person)
    await opened.one_of_each()
    return opened


async def test_what_is_old_goes_and_what_is_young_stays(house: House) -> None:
    assert set(MOMENTS) == {rule.table for rule in RULES}
    old = {table: await house.moments(table) for table in MOMENTS}
    assert all(old.values()), old
    house.clock.advance(timedelta(days=401))
    await house.one_of_each()
    young = {table: await house.moments(table) for table in MOMENTS}
    gone = await sweep(house.works, BANK)
    for table, moments in old.items():
        kept = [moment for moment in young[table] if moment not in moments]
        # these went before: replaced by the next session, cleared by the next nonce or pairing
        before = table in ("staff_sessions", "machine_nonces", "pairings")
        expected = 0 if before else len(moments)
        assert (gone[table], await house.moments(table)) == (expected, kept), table
    assert await sweep(house.works, BANK) == dict.fromkeys(MOMENTS, 0)


async def test_not_a_second_before_the_least_that_may_be_set(house: House) -> None:
    began = house.clock.now()
    waiting = dict(LEAST)
    # a session of staff counts from its end, a counter from the first of its window
    lag = {"staff_sessions": timedelta(hours=8), "limit_counters": timedelta(days=1)}
    for days in sorted(set(LEAST.values())):
        house.clock.advance(began + timedelta(days=days) - SECOND - house.clock.now())
        gone = await sweep(house.works, BANK, LEAST)
        due = {table for table, least in waiting.items() if least == days}
        early = {table for table, count in gone.items() if count} - {"limit_counters"}
        assert not early, (days, gone)
        house.clock.advance(2 * SECOND + max(lag.get(table, SECOND) for table in due))
        gone = await sweep(house.works, BANK, LEAST)
        assert {table for table, count in gone.items() if count} == due, (days, gone)


async def test_a_setting_below_the_least_would_not_be_followed_either(house: House) -> None:
    house.clock.advance(timedelta(days=LEAST["intents"]) - SECOND)
    gone = await sweep(house.works, BANK, dict.fromkeys(LEAST, 0))
    assert not gone["intents"]
    assert not gone["atm_card_requests"]


async def test_what_was_done_before_its_row_went_is_not_done_again(house: House) -> None:
    shown = await house.pocket.prepare(gift(), Gift())
    assert isinstance(await house.pocket.authorise(gift(), shown), Done)
    house.clock.advance(timedelta(days=401))
    await sweep(house.works, BANK)
    with pytest.raises(Refused) as refused:
        await house.pocket.authorise(gift(), shown)
    assert refused.value.reason is Reason.NOT_FOUND
    assert await given(house.works) == [shown["id"]]
    pairing_id, secret = house.pairing
    with pytest.raises(Refused) as refused:
        await house.works.read(SYSTEM, None, lambda work: pairings.look(work, pairing_id, secret))
    assert refused.value.reason is Reason.NOT_FOUND


async def test_behind_a_key_that_is_forgotten_stands_the_acts_own_refusal(house: House) -> None:
    holder = house.pocket.holder

    async def opened(work: Work) -> Outcome:
        cause = Cause.DUPLICATE_CHARGE
        return await cases.open_case(work, holder.id, house.paid, cause, "Charged twice.")

    async def ask() -> tuple[Outcome, bool]:
        actor = house.pocket.actor
        return await house.works.perform_once(actor, BANK, "dispute.open", "k", b"b", opened)

    first, _ = await ask()
    house.clock.advance(timedelta(days=29))
    await sweep(house.works, BANK)
    assert await ask() == (first, True)
    house.clock.advance(timedelta(days=2))
    await sweep(house.works, BANK)
    with pytest.raises(Refused) as refused:
        await ask()
    assert refused.value.reason is Reason.DISPUTE_EXISTS


async def test_what_an_open_case_needs_stays_however_old(house: House, desk: Desk) -> None:
    disputed = house.paid
    house.clock.advance(timedelta(days=100))
    office = Cases(desk, house.pocket.holder, house.pocket.holder)
    opened = await office.dispute(disputed)
    house.clock.advance(timedelta(days=400))
    assert (await sweep(house.works, BANK))["intents"] == 1  # the one a code was asked for
    assert await _intents(house) == [disputed]
    case_id = DisputeId(UUID(opened["dispute_id"]))
    await office.by("dara", lambda work: closing.close(work, case_id, "Not so."))
    assert (await sweep(house.works, BANK))["intents"] == 1
    assert await _intents(house) == []


async def _intents(house: House) -> list[UUID]:
    async def read(work: Work) -> list[UUID]:
        return [row["id"] for row in await work.rows("select id from intents order by id")]

    return await house.works.read(SYSTEM, None, read)


async def test_stopped_half_way_it_goes_on_where_it_was(house: House) -> None:
    for _ in range(6):
        await house.pocket.prepare(gift(), Gift())
    house.clock.advance(timedelta(days=401))
    sweeping = asyncio.create_task(sweep(house.works, BANK, most=3, pause_s=60))
    async with asyncio.timeout(10):
        while await house.rows("intents") != 5:
            await asyncio.sleep(0.01)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    assert await house.rows("intents") == 5, "more than a batch in one transaction"
    assert (await sweep(house.works, BANK, most=3, pause_s=0))["intents"] == 5
    assert await house.rows("intents") == 0


async def test_it_waits_for_nobody_and_nobody_for_it(house: House, database: Database) -> None:
    await house.pocket.prepare(gift(), Gift())
    house.clock.advance(timedelta(days=401))
    held, let = asyncio.Event(), asyncio.Event()

    async def hold(work: Work) -> None:
        await work.rows("select from intents order by id limit 1 for update")
        held.set()
        await let.wait()

    holding = asyncio.create_task(house.works.perform(SYSTEM, BANK, hold))
    await held.wait()
    async with asyncio.timeout(1.5):  # the lock time-out is 2 s
        assert (await sweep(house.works, BANK))["intents"] == 2
        await house.pay()
    let.set()
    await holding
    assert (await sweep(house.works, BANK))["intents"] == 1
    assert await house.rows("intents") == 1, "the payment of today"


async def test_two_workers_at_once_sweep_each_row_once(house: House) -> None:
    for _ in range(40):
        await house.pocket.prepare(gift(), Gift())
    house.clock.advance(timedelta(days=401))
    both = await asyncio.gather(*(sweep(house.works, BANK, most=5, pause_s=0) for _ in range(2)))
    rest = await sweep(house.works, BANK)
    assert sum(gone["intents"] for gone in [*both, rest]) == 42


def test_periods_are_read_by_table_and_none_is_below_its_least() -> None:
    assert read_periods("") == {}
    assert read_periods(" intents = 500, idempotency=10 ") == {"intents": 500, "idempotency": 10}
    for text in ("accounts=5", "intents=179", "intents=x", "intents", "sessions=2,sessions=3"):
        with pytest.raises(ValueError, match=r"must"):
            read_periods(text)
    for rule in RULES:
        assert rule.least <= rule.days
        with pytest.raises(ValueError, match=rule.why.partition(";")[0]):
            read_periods(f"{rule.table}={rule.least - 1}")


def test_no_period_ends_before_a_dispute_may_begin() -> None:
    evidence = {"intents", "otp_challenges", "pairings", "atm_card_requests"}
    assert all(LEAST[table] > cases.DISPUTABLE_FOR.days for table in evidence)
    assert retention.BATCH <= 1_000

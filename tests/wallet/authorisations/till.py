"""A shop's till for tests: messages of an imagined network, through the room's own desk."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tests.wallet.cards.counter import Counter, Person
from tests.wallet.limits.steps import put_in_force
from wallet import terms
from wallet.authorisations import proof, reading, records
from wallet.authorisations.habits import StepUp
from wallet.authorisations.messages import Kind, Merchant, Message
from wallet.authorisations.records import Event, Life
from wallet.authorisations.serving import Desk, Network, serve
from wallet.authorisations.states import Standing, Status, status_of
from wallet.cards.rules import CardRules, Issuing
from wallet.clock import TurnedClock
from wallet.exchange import RateSheet
from wallet.identifiers import AccountId, BankId, CardId, TransferId, new_id
from wallet.ledger import proof as books
from wallet.ledger.book import open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.ledger.proof import prove
from wallet.limits import LimitSheet
from wallet.limits import proof as limits_proof
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, GroupAnswer, Outcome, Reason
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")
CAFE = Merchant(id="KH000000000CAFE", name="Kafé Ânkor", mcc="5814")
SHOP = Merchant(id="KH000000000SHOP", name="Phsar Online", mcc="5311")
ABROAD = Merchant(id="TH000000000SHOP", name="Bangkok Books", mcc="5942", country="TH")
PARIS = Merchant(id="FR000000000SHOP", name="Librairie", mcc="5942", country="FR")
RATE = RateSheet(mid_hundredths=410_000, spread_bps=100)
SOON = timedelta(seconds=5)
NO_QUESTIONS = StepUp(first_foreign=False, new_country=False, times_usual=0, many_in_hour=0)


class _CallersClock:
    """The clock by which a caller waits: ahead of the Work's by what the answer took."""

    def __init__(self, clock: TurnedClock) -> None:
        self._clock = clock
        self.took = timedelta(0)

    def now(self) -> datetime:
        return self._clock.now() + self.took

    def at(self, database_now: datetime) -> datetime:
        return self._clock.at(database_now)


class Till:
    """One holder's card, and what shops do with it."""

    def __init__(
        self,
        works: Works,
        teller: Teller,
        vault: Vault,
        clock: TurnedClock,
        step_up: StepUp = NO_QUESTIONS,
    ) -> None:
        self.works = works
        self.clock = clock
        self.cards = Counter(works, vault, clock, CardRules())
        self._callers = _CallersClock(clock)
        self.network = Network(issuing=Issuing(vault=vault), step_up=step_up)
        self.desk = Desk(teller, self._callers, self.network)
        self.person: Person
        self.card_id: CardId
        self.currency = Currency.KHR
        self._keys = itertools.count(1)

    async def open(
        self, currency: str = "KHR", *, khr: int = 0, usd: int = 0, **card: Any
    ) -> "Till":
        self.person = await self.cards.person(khr=khr, usd=usd)
        self.currency = Currency(currency)
        self.card_id = await self.cards.card(self.person, currency, **card)
        return self

    def slow_by(self, took: timedelta) -> None:
        """Have answers take so long from now on."""
        self._callers.took = took

    async def freeze(self) -> None:
        await self.cards.freeze(self.person, self.card_id)

    async def replace(self) -> None:
        """The holder has the card's number replaced, and uses the new one from now on."""
        outcome = await self.cards.do("card.replace", self.person, card_id=str(self.card_id))
        assert isinstance(outcome, Done), outcome
        self.card_id = CardId(UUID(outcome.answer["card"]["id"]))

    async def close_wallet(self) -> None:
        """The bank closes the card's wallet."""

        async def act(work: Work) -> None:
            fees = await house_account(work, AccountKind.FEES, self.currency, "closing")
            book = await open_book(work, accounts=[self.wallet, fees])
            book.close(TransferId(new_id()), self.wallet, fees)
            await book.write()

        await self.works.perform(SYSTEM, ACLEDA, act)

    async def lift_limits(self) -> None:
        """No limits but those of a test."""
        await put_in_force(self.works, self.clock, terms.Sort.LIMITS, LimitSheet(rules=()))

    async def serve(self, messages: Sequence[Message]) -> Sequence[GroupAnswer]:
        """One group, in one transaction."""

        async def act(work: Work) -> Sequence[GroupAnswer]:
            return await serve(work, self.network, messages)

        return await self.works.perform(SYSTEM, ACLEDA, act)

    async def rates(self) -> None:
        await put_in_force(self.works, self.clock, terms.Sort.RATES, RATE)

    @property
    def wallet(self) -> AccountId:
        holder = self.person.holder
        return holder.khr if self.currency is Currency.KHR else holder.usd

    def key(self) -> str:
        return f"CSS|ACLB|T0001|{next(self._keys):012d}|000001|2026-01-12"

    def message(
        self,
        kind: Kind,
        minor: int | None = None,
        *,
        of: Message | None = None,
        currency: Currency | None = None,
        **more: Any,
    ) -> Message:
        money = None if minor is None else Money(minor, currency or self.currency)
        fields: dict[str, Any] = {
            "bank": ACLEDA,
            "key": self.key(),
            "original": None if of is None else of.lifecycle,
            "card_id": self.card_id,
            "merchant": CAFE,
            "money": money,
        }
        return Message(kind=kind, **{**fields, **more})

    async def ask(self, message: Message) -> Outcome:
        return await self.desk.ask(message)

    async def done(self, message: Message) -> dict[str, Any]:
        outcome = await self.ask(message)
        assert isinstance(outcome, Done), outcome
        return outcome.answer

    async def said(self, message: Message) -> str:
        """`ok` or the reason."""
        outcome = await self.ask(message)
        return outcome.reason.value if isinstance(outcome, Declined) else "ok"

    async def authorise(self, minor: int, **more: Any) -> Message:
        """An authorisation that is allowed."""
        message = self.message(Kind.AUTHORIZATION, minor, **more)
        await self.done(message)
        return message

    async def life(self, message: Message) -> Life:
        async def read(work: Work) -> Life:
            return (await records.open_lives(work, [message])).of(message)

        return await self.works.read(SYSTEM, ACLEDA, read)

    async def standing(self, message: Message) -> Standing:
        return (await self.life(message)).standing

    async def events(self, message: Message) -> list[Event]:
        return (await self.life(message)).events

    async def status(self, message: Message) -> Status:
        return status_of(await self.standing(message), self.clock.now())

    async def balance(self) -> tuple[int, int]:
        """(posted, held) of the card's wallet."""

        async def read(work: Work) -> tuple[int, int]:
            row = await work.row("select * from accounts where id = $1", self.wallet)
            assert row is not None
            return row["credits_posted"] - row["debits_posted"], row["debits_pending"]

        return await self.works.read(SYSTEM, ACLEDA, read)

    async def owed(self, currency: Currency) -> int:
        """What the bank owes the network."""

        async def read(work: Work) -> int:
            value = await work.value(
                "select credits_posted - debits_posted from accounts"
                " where kind = 'switch_settlement' and currency = $1",
                currency.value,
            )
            return int(value or 0)

        return await self.works.read(SYSTEM, ACLEDA, read)

    async def cases(self) -> list[tuple[str, int, int]]:
        """(cause, beyond, short) of every case, oldest first."""

        async def read(work: Work) -> list[tuple[str, int, int]]:
            rows = await work.rows("select * from authorisation_cases order by seq")
            return [(r["cause"], r["beyond_minor"], r["short_minor"]) for r in rows]

        return await self.works.read(SYSTEM, ACLEDA, read)

    async def has_case(self, authorisation_id: UUID) -> bool:
        async def read(work: Work) -> bool:
            return bool(await reading.cases_of(work, authorisation_id))

        return await self.works.read(SYSTEM, ACLEDA, read)

    async def told(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of the events of this kind."""

        async def read(work: Work) -> list[dict[str, Any]]:
            rows = await work.rows("select body from events where kind = $1 order by seq", kind)
            return [row["body"] for row in rows]

        return await self.works.read(SYSTEM, None, read)

    async def prove(self) -> None:
        checks = (*books.CHECKS, *proof.CHECKS, *limits_proof.CHECKS)
        for finding in await prove(self.works, checks):
            assert finding.right, f"{finding.check}: {finding.difference}"


def reason(outcome: Outcome) -> Reason | None:
    return outcome.reason if isinstance(outcome, Declined) else None

"""Controls against a naive model that goes through every rule and the whole history each time.

Whatever sheets three parties set and whatever is bought, held and given back: both say the same.
The long form is `pytest -m long`; a short one always runs.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tests.conftest import FIRST_MOMENT, url_of
from tests.wallet.controls.steps import put
from wallet.clock import PHNOM_PENH, TurnedClock
from wallet.controls import (
    Channels,
    ControlSheet,
    Countries,
    Hours,
    Mccs,
    Merchant,
    Merchants,
    Purchase,
    Spend,
    open_controls,
)
from wallet.controls.deciding import Compiled, SetBy, bank_subject, decide_lists
from wallet.controls.proof import CHECKS
from wallet.controls.sheets import NO_CONTROLS, decide_sheet, loosens
from wallet.database import Database
from wallet.identifiers import BankId, CardId, HolderId, new_id
from wallet.ledger.proof import prove
from wallet.limits import Channel, Per, Window
from wallet.money import Currency, Money
from wallet.outcomes import Refused
from wallet.work import SYSTEM, Work, Works

KHR, USD = Currency.KHR, Currency.USD


def listed(into: Any, values: list[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(st.sampled_from(values), max_size=3).map(tuple)
    return st.builds(into, allow=st.one_of(st.none(), st.none(), some), deny=some)


MOST = st.one_of(st.none(), st.integers(0, 250))
SPEND = st.builds(
    Spend,
    window=st.sampled_from(list(Window)),
    currency=st.sampled_from([KHR, KHR, USD]),
    most_minor=MOST,
    most_count=st.one_of(st.none(), st.none(), st.integers(0, 4)),
    per=st.sampled_from(list(Per)),
)
TIMES = [f"{hour:02d}:{minute:02d}" for hour in (0, 6, 9, 17, 22) for minute in (0, 30)]
HOURS = st.builds(
    Hours,
    days=st.lists(st.integers(1, 7), min_size=1, max_size=5).map(tuple),
    begin=st.sampled_from(TIMES),
    end=st.sampled_from([*TIMES, "24:00"]),
)
CODES = ["5411", "5412", "5812", "7995"]
SHEET = st.builds(
    ControlSheet,
    spend=st.lists(SPEND, max_size=3).map(tuple),
    channels=listed(Channels, list(Channel)),
    countries=listed(Countries, ["KH", "TH", "US"]),
    mccs=listed(Mccs, [*CODES, "5400-5499", "5000-5999"]),
    merchants=listed(Merchants, ["A", "B", "C"]),
    hours=st.one_of(st.none(), st.none(), st.lists(HOURS, max_size=3).map(tuple)),
).filter(lambda sheet: sound(sheet))


def sound(sheet: ControlSheet) -> bool:
    try:
        decide_sheet(sheet)
    except Refused:
        return False
    return True


class Wish(Struct, frozen=True):
    """A step of the story: buy, or give an earlier purchase back (in part)."""

    money: Money
    card: int
    shop: str
    mcc: str
    country: str
    channel: Channel
    later_by: timedelta
    back: int | None
    kept: int | None


WISH = st.builds(
    Wish,
    money=st.one_of(st.integers(1, 120).map(Money.khr), st.integers(1, 120).map(Money.usd)),
    card=st.integers(0, 1),
    shop=st.sampled_from(["A", "B", "C"]),
    mcc=st.sampled_from(CODES),
    country=st.sampled_from(["KH", "TH", "US"]),
    channel=st.sampled_from(list(Channel)),
    later_by=st.sampled_from([timedelta(hours=h) for h in (0, 1, 9, 264)]),
    back=st.one_of(st.none(), st.none(), st.none(), st.integers(0, 9)),
    kept=st.one_of(st.none(), st.integers(0, 60)),
)
SHEETS = st.tuples(SHEET, SHEET, SHEET)
STORY = st.tuples(SHEETS, SHEETS, st.lists(WISH, min_size=1, max_size=8))
"""What is in force, what is in shadow (and must change nothing), what happens."""


class Model:
    """All of it, the long way: no counter, no index, no shortcut."""

    def __init__(self, sheets: dict[SetBy, ControlSheet], holder: UUID, card: UUID) -> None:
        self.sheets, self.holder, self.card = sheets, holder, card
        self.history: dict[UUID, tuple[Purchase, int, bool]] = {}

    def decide(self, purchase: Purchase) -> str:
        parties = [
            (by, sheet)
            for by, sheet in self.sheets.items()
            if by is not SetBy.CARD or purchase.card_id == self.card
        ]
        for by, sheet in parties:
            told = self.of_lists(sheet, purchase)
            if told:
                return f"{by} {told}"
        for by, sheet in parties:
            told = self.of_amounts(by, sheet, purchase)
            if told:
                return f"{by} {told}"
        self.history[purchase.id] = purchase, purchase.amount.minor, True
        return "ok"

    def of_lists(self, sheet: ControlSheet, purchase: Purchase) -> str:
        shop = purchase.merchant
        if not allowed(sheet.channels, purchase.channel):
            return "channel_not_allowed"
        if not allowed(sheet.countries, shop.country):
            return "country_not_allowed"
        if not allowed(sheet.mccs, shop.mcc):
            return "mcc_not_allowed"
        if not allowed(sheet.merchants, shop.id):
            return "merchant_not_allowed"
        open_now = sheet.hours is None or any(within(one, purchase.moment) for one in sheet.hours)
        return "" if open_now else "outside_time_window"

    def of_amounts(self, by: SetBy, sheet: ControlSheet, purchase: Purchase) -> str:
        for window in Window:
            for rule in sheet.spend:
                if rule.window is not window or rule.currency is not purchase.amount.currency:
                    continue
                per = {SetBy.CARD: Per.CARD, SetBy.HOLDER: Per.HOLDER}.get(by, rule.per)
                minor, uses = self.used(per, window, purchase)
                if rule.most_minor is not None and minor + purchase.amount.minor > rule.most_minor:
                    return f"limit_exceeded {window} left {max(0, rule.most_minor - minor)}"
                if rule.most_count is not None and uses + 1 > rule.most_count:
                    return f"limit_exceeded {window}_count left 0"
        return ""

    def used(self, per: Per, window: Window, purchase: Purchase) -> tuple[int, int]:
        if window is Window.PAYMENT:
            return 0, 0
        theirs = [
            (minor, one_more)
            for earlier, minor, one_more in self.history.values()
            if earlier.amount.currency is purchase.amount.currency
            and (per is Per.HOLDER or earlier.card_id == purchase.card_id)
            and same(window, earlier.moment, purchase.moment)
        ]
        return sum(minor for minor, _ in theirs), sum(one_more for _, one_more in theirs)

    def give_back(self, purchase: Purchase, kept: Money | None) -> None:
        minor = 0 if kept is None else kept.minor
        self.history[purchase.id] = purchase, minor, kept is not None


def allowed(rule: Any, said: str) -> bool:
    def among(entries: Any) -> bool:
        return any(
            (int(one[:4]) <= int(said) <= int(one[-4:])) if one[:4].isdigit() else one == said
            for one in entries
        )

    return not among(rule.deny) and (rule.allow is None or among(rule.allow))


def within(hours: Hours, moment: datetime) -> bool:
    """Whether one of the stretch's days, begun this week or last, holds the moment."""
    local = moment.astimezone(PHNOM_PENH)
    for ago in (0, 1):
        day = (local - timedelta(days=ago)).replace(hour=0, minute=0, second=0, microsecond=0)
        begin, end = day + span(hours.begin), day + span(hours.end)
        if end <= begin:
            end += timedelta(days=1)
        if day.isoweekday() in hours.days and begin <= local < end:
            return True
    return False


def span(text: str) -> timedelta:
    return timedelta(hours=int(text[:2]), minutes=int(text[3:]))


def same(window: Window, one: datetime, other: datetime) -> bool:
    first, second = one.astimezone(PHNOM_PENH), other.astimezone(PHNOM_PENH)
    if window is Window.DAY:
        return first.date() == second.date()
    return window is Window.LIFETIME or (first.year, first.month) == (second.year, second.month)


class Story:
    """One run of both: real counters in PostgreSQL, and the model."""

    def __init__(self, database: Database) -> None:
        self.bank = BankId(new_id().hex)
        self.clock = TurnedClock(FIRST_MOMENT)
        self.works = Works(database, self.clock)
        self.holder = HolderId(new_id())
        self.cards = [CardId(new_id()), CardId(new_id())]
        self.bought: list[Purchase] = []
        self.back: set[UUID] = set()

    async def tell(
        self,
        live: tuple[ControlSheet, ControlSheet, ControlSheet],
        shadow: tuple[ControlSheet, ControlSheet, ControlSheet],
        wishes: list[Wish],
    ) -> None:
        sheets = dict(zip(SetBy, live, strict=True))
        subjects = (bank_subject(self.bank), self.holder, self.cards[0])
        for by, sheet, other, subject in zip(SetBy, live, shadow, subjects, strict=True):
            await put(self.works, by, subject, sheet, bank=self.bank)
            await put(self.works, by, subject, other, "SHADOW", bank=self.bank)
        model = Model(sheets, self.holder, self.cards[0])
        while wishes:
            # those at one moment are one group
            size = next((i for i, w in enumerate(wishes) if i and w.later_by), len(wishes))
            self.clock.advance(wishes[0].later_by)
            group, wishes = wishes[:size], wishes[size:]
            said = await self.works.perform(SYSTEM, self.bank, lambda w, g=group: self.act(w, g))
            assert said == [self.expected(model, one) for one in self.log]

    async def act(self, work: Work, wishes: list[Wish]) -> list[str]:
        self.log: list[Purchase | tuple[Purchase, Money | None]] = []
        given = {
            place: self.bought[wish.back % len(self.bought)]
            for place, wish in enumerate(wishes)
            if wish.back is not None and self.bought
        }
        fresh = [self.purchase(wish, work.now) for wish in wishes]
        controls = await open_controls(work, fresh, given_back=list(given.values()))
        said = []
        for place, purchase in enumerate(fresh):
            earlier = given.get(place)
            if earlier is not None:
                if earlier.id in self.back:
                    continue
                self.back.add(earlier.id)
                kept = wishes[place].kept
                keep = None
                if kept is not None:
                    keep = Money(min(kept, earlier.amount.minor), earlier.amount.currency)
                controls.give_back(earlier, keep)
                self.log.append((earlier, keep))
                said.append("back")
                continue
            declined = controls.decide(purchase)
            self.log.append(purchase)
            if declined is None:
                controls.count(purchase)
                self.bought.append(purchase)
                said.append("ok")
                continue
            facts = declined.facts
            by, reason = facts["set_by"], declined.reason.value
            if "limit" in facts:
                left = facts.get("left_minor", facts["left"])
                reason += f" {facts['limit']} left {left}"
            said.append(f"{by} {reason}")
        await controls.write()
        return said

    def expected(self, model: Model, one: Purchase | tuple[Purchase, Money | None]) -> str:
        if isinstance(one, tuple):
            model.give_back(*one)
            return "back"
        return model.decide(one)

    def purchase(self, wish: Wish, now: datetime) -> Purchase:
        return Purchase(
            id=new_id(),
            card_id=self.cards[wish.card],
            holder_id=self.holder,
            amount=wish.money,
            merchant=Merchant(id=wish.shop, mcc=wish.mcc, country=wish.country),
            channel=wish.channel,
            moment=now,
        )


QUIETLY: Final = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def told(database_url: str, examples: int) -> None:
    """Run random stories in one database, on a loop of their own."""
    loop = asyncio.new_event_loop()
    database = loop.run_until_complete(Database.connect(database_url))
    try:

        @settings(max_examples=examples, deadline=None, suppress_health_check=QUIETLY)
        @given(STORY)
        def run(story: Any) -> None:
            loop.run_until_complete(Story(database).tell(*story))

        run()
        works = Works(database, TurnedClock(FIRST_MOMENT))
        for finding in loop.run_until_complete(prove(works, CHECKS)):
            assert finding.right, f"{finding.check}: {finding.difference}"
    finally:
        loop.run_until_complete(database.close())
        loop.close()


@pytest.fixture
def fresh_url(servers: Any, template_database: str) -> str:
    """A database of its own, made without the test's loop."""
    name = f"test_{new_id().hex}"

    async def make() -> None:
        admin = await asyncpg.connect(servers.database_url)
        await admin.execute(f'create database "{name}" template "{template_database}"')
        await admin.close()

    asyncio.run(make())
    return url_of(servers, name)


def test_decisions_are_those_of_a_naive_model(fresh_url: str) -> None:
    told(fresh_url, 40)


@pytest.mark.long
def test_decisions_are_those_of_a_naive_model_in_many_stories(fresh_url: str) -> None:
    told(fresh_url, 600)


# what loosens


@settings(max_examples=100, deadline=None, suppress_health_check=QUIETLY)
@given(before=SHEET, after=SHEET, wish=WISH, minutes=st.integers(0, 7 * 1_440))
def test_what_is_allowed_anew_is_never_taken_for_tightening(
    before: ControlSheet, after: ControlSheet, wish: Wish, minutes: int
) -> None:
    """No code is asked for what does not loosen: so that must never be said wrongly."""
    moment = datetime(2026, 1, 11, 17, 0, tzinfo=UTC) + timedelta(minutes=minutes)
    purchase = Purchase(
        id=new_id(),
        card_id=CardId(new_id()),
        holder_id=HolderId(new_id()),
        amount=wish.money,
        merchant=Merchant(id=wish.shop, mcc=wish.mcc, country=wish.country),
        channel=wish.channel,
        moment=moment,
    )
    if allows(after, purchase) and not allows(before, purchase):
        assert loosens(before, after)
    assert not loosens(after, after)
    assert not loosens(NO_CONTROLS, after)


def allows(sheet: ControlSheet, purchase: Purchase) -> bool:
    """As a first purchase."""
    made = Compiled(SetBy.CARD, sheet)
    return decide_lists([made], purchase) is None and all(
        (m.rule.most_minor is None or purchase.amount.minor <= m.rule.most_minor)
        and m.rule.most_count != 0
        for m in made.amounts(purchase)
    )

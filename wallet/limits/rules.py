"""What is allowed: the rules of a limit sheet, and what of them concerns one act. Pure.

Promise: null is no limit and 0 allows nothing; every rule that concerns an act must allow it, so
the tightest wins; a day is a calendar day in Phnom Penh, a month a calendar month there, and a
lifetime never ends. The sheet's own rate (whole riel a dollar) is used where one limit spans both
currencies, rounded up, so that no splitting of an amount slips below it.

Who calls: counting; proposals and doors read the types.
"""

import enum
from collections.abc import Iterator
from datetime import date, datetime, time
from functools import lru_cache
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from wallet.clock import PHNOM_PENH
from wallet.ledger.transfer import TransferKind
from wallet.money import Currency, Money

EVER: Final = date(1970, 1, 1)
"""Where a lifetime's window is said to begin: before anything that is counted."""


class Window(enum.StrEnum):
    """How long a limit counts: one act, a calendar day or month in Phnom Penh, or for ever."""

    PAYMENT = "payment"
    DAY = "day"
    MONTH = "month"
    LIFETIME = "lifetime"

    def start(self, day: date) -> date:
        """The first day of the window that `day` falls in."""
        return _start(self, day)


@lru_cache(256)
def _start(window: Window, day: date) -> date:
    """Asked of every rule for every act of a group, mostly of one day."""
    if window is Window.LIFETIME:
        return EVER
    return day.replace(day=1) if window is Window.MONTH else day


def begins(window: Window, moment: datetime) -> bool:
    """Whether a window begins at exactly this moment in Phnom Penh."""
    local = moment.astimezone(PHNOM_PENH)
    return local.time() == time(0) and window.start(local.date()) == local.date()


class Tier(enum.StrEnum):
    """How well the bank knows a holder (National Bank of Cambodia, March 2021)."""

    BASIC = "basic"
    PARTIAL = "partial"
    FULL = "full"


class Channel(enum.StrEnum):
    """Where an act was asked for."""

    APP = "app"
    ATM = "atm"
    POS = "pos"
    ONLINE = "online"
    RECURRING = "recurring"
    """A merchant's own request under a standing agreement, the holder away."""


class Per(enum.StrEnum):
    """Whose acts are counted together."""

    HOLDER = "holder"
    CARD = "card"


SPENDING: Final = frozenset(
    {
        TransferKind.QR_PAYMENT,
        TransferKind.TOPUP,
        TransferKind.TRANSFER,
        TransferKind.CARD_PURCHASE,
    }
)
"""What a rule without a kind counts: money that leaves the holder. Changing one's own money and
fees are not; a rule may name their kind."""

Most = Annotated[int, Meta(ge=0, le=2**53)] | None


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One limit. `most_minor` is in minor units of `currency`, `most_count` a number of acts.

    A rule without `tier`, `kind` or `channel` concerns all of them; with `both`, acts in the other
    currency count too, at the sheet's rate. A count alone concerns acts in `currency`, or in both.
    """

    window: Window
    currency: Currency
    most_minor: Most = None
    most_count: Most = None
    both: bool = False
    per: Per = Per.HOLDER
    tier: Tier | None = None
    kind: TransferKind | None = None
    channel: Channel | None = None

    def concerns(self, kind: TransferKind, channel: Channel, currency: Currency) -> bool:
        return (
            (self.kind is kind if self.kind is not None else kind in SPENDING)
            and self.channel in (None, channel)
            and (self.both or self.currency is currency)
        )

    @property
    def measure(self) -> str:
        """What is counted, as its counters are called: `day/any/any/KHR`."""
        other = "+" if self.both else ""
        kind, channel = self.kind or "any", self.channel or "any"
        return f"{self.window}/{kind}/{channel}/{self.currency.value}{other}"


class LimitSheet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All limits of a bank, replaced whole. `riel_per_dollar`: for rules over both currencies."""

    rules: tuple[Rule, ...]
    riel_per_dollar: Annotated[int, Meta(ge=1, le=1_000_000)] = 4_000


def pair(khr: int, usd_cents: int, **about: object) -> Iterator[Rule]:
    """The same limit for each currency, as the bank's tables print them."""
    for currency, minor in ((Currency.KHR, khr), (Currency.USD, usd_cents)):
        yield Rule(currency=currency, most_minor=minor, **about)  # type: ignore[arg-type]


DEFAULT: Final = LimitSheet(
    rules=(
        # what Bakong takes in one payment, as ACLEDA prints it
        *pair(10_000_000, 2_500_00, window=Window.PAYMENT, kind=TransferKind.QR_PAYMENT),
        # the National Bank's tiers of 26 March 2021
        *pair(2_000_000, 500_00, window=Window.DAY, tier=Tier.BASIC),
        *pair(12_000_000, 3_000_00, window=Window.DAY, tier=Tier.PARTIAL),
        *pair(40_000_000, 10_000_00, window=Window.DAY, tier=Tier.FULL),
        # ACLEDA's transfers between one's own accounts: so much at a time, 25 a day in all
        *pair(20_000_000, 5_000_00, window=Window.PAYMENT, kind=TransferKind.EXCHANGE),
        Rule(
            window=Window.DAY,
            currency=Currency.KHR,
            both=True,
            most_count=25,
            kind=TransferKind.EXCHANGE,
        ),
        # ABA's virtual card: dollars a day, thirty purchases
        *pair(20_000_000, 5_000_00, window=Window.DAY, per=Per.CARD, most_count=30),
    )
)
"""What holds until a bank sets its own."""


class OwnLimits(Struct, frozen=True, kw_only=True):
    """A card's own limits, in its currency, set by its holder; None is none."""

    per_use_minor: Most = None
    daily_minor: Most = None
    uses_per_day: Most = None

    def rules(self, currency: Currency) -> tuple[Rule, ...]:
        return (
            Rule(
                window=Window.PAYMENT,
                currency=currency,
                most_minor=self.per_use_minor,
                per=Per.CARD,
            ),
            Rule(
                window=Window.DAY,
                currency=currency,
                most_minor=self.daily_minor,
                most_count=self.uses_per_day,
                per=Per.CARD,
            ),
        )


class SetRule(Struct, frozen=True, kw_only=True):
    """A rule beside the sheet: who set it, and whose acts it counts. What it counts has to be among
    what is counted always (`_always`), so that it may be set at any moment and looked at twice."""

    by: str
    subject: UUID
    rule: Rule
    measure: str
    """The rule's own, worked out once."""


Measured = tuple[Rule, str]
"""A rule and its measure, worked out once."""


class Concerned(Struct, frozen=True):
    """What of a sheet concerns one sort of act: rules in the order they are answered, and every
    measure it counts towards, whether or not a rule of its holder's tier looks at it."""

    rules: tuple[Measured, ...]
    counted: tuple[Measured, ...]


class Compiled:
    """A sheet made quick to ask: what concerns an act is worked out once for each sort of act."""

    def __init__(self, sheet: LimitSheet) -> None:
        self.sheet = sheet
        self.rate = sheet.riel_per_dollar
        self._concerned: dict[tuple[TransferKind, Channel, Currency, Per], Concerned] = {}

    def concerned(
        self, kind: TransferKind, channel: Channel, currency: Currency, per: Per
    ) -> Concerned:
        key = (kind, channel, currency, per)
        known = self._concerned.get(key)
        if known is None:
            known = self._concerned[key] = _concerned(self.sheet, *key)
        return known


def _concerned(
    sheet: LimitSheet, kind: TransferKind, channel: Channel, currency: Currency, per: Per
) -> Concerned:
    rules = [r for r in sheet.rules if r.per is per and r.concerns(kind, channel, currency)]
    always = _always(kind, currency, per)
    measured = {rule.measure: rule for rule in [*rules, *always] if _counts(rule, kind)}
    return Concerned(
        rules=tuple((r, r.measure) for r in sorted(rules, key=lambda rule: _ORDER[rule.window])),
        counted=tuple((measured[name], name) for name in sorted(measured)),
    )


def _always(kind: TransferKind, currency: Currency, per: Per) -> Iterator[Rule]:
    """What is counted whether or not a rule looks at it, so that one may appear at any time: the
    day of each currency, and of purchases with cards every window a card or its holder may set."""
    yield Rule(window=Window.DAY, currency=currency, per=per)
    if kind is TransferKind.CARD_PURCHASE:
        for window in (Window.DAY, Window.MONTH, Window.LIFETIME):
            yield card_rule(window, currency, per)


def card_rule(
    window: Window, currency: Currency, per: Per, most_minor: Most = None, most_count: Most = None
) -> Rule:
    """A rule on purchases: with one card (which does nothing else), or with a holder's cards."""
    return Rule(
        window=window,
        currency=currency,
        most_minor=most_minor,
        most_count=most_count,
        per=per,
        kind=None if per is Per.CARD else TransferKind.CARD_PURCHASE,
    )


def _counts(rule: Rule, kind: TransferKind) -> bool:
    return rule.window is not Window.PAYMENT and (rule.kind is not None or kind in SPENDING)


_ORDER: Final = {window: place for place, window in enumerate(Window)}


def in_unit(rule: Rule, money: Money, riel_per_dollar: int) -> int:
    """`money` in minor units of the rule's currency, rounded up."""
    if money.currency is rule.currency:
        return money.minor
    if rule.currency is Currency.KHR:
        return -(-money.minor * riel_per_dollar // 100)
    return -(-money.minor * 100 // riel_per_dollar)

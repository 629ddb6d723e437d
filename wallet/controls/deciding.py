"""Whether a purchase is allowed by the sheets that concern it. Pure.

Promise, in this order, the first rule that does not allow being the one that is told:

    1. the bank's lists and hours, the holder's, the card's; in each: channel, country, MCC,
       merchant (in each: denied, then not among those allowed), hours
    2. the bank's limit sheet (wallet.limits) and the limits on the card itself
    3. the bank's amounts, the holder's, the card's; in each: one purchase, day, month, lifetime,
       and in each of those the money before the number

What the bank rules comes first, so nobody is sent to change a rule of their own in vain.
Who calls: group, replay.
"""

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import NAMESPACE_OID, UUID

import msgspec
from uuid_utils.compat import uuid5

from wallet.clock import PHNOM_PENH
from wallet.controls.purchases import Purchase
from wallet.controls.sheets import (
    WEEK,
    Channels,
    ControlSheet,
    Countries,
    Merchants,
    codes_of,
    minutes_of,
)
from wallet.identifiers import BankId
from wallet.limits import Per, Rule, SetRule, Window, card_rule
from wallet.money import Currency
from wallet.outcomes import Declined, Reason


class SetBy(enum.StrEnum):
    """Whose sheet it is: in the order they are asked."""

    BANK = "bank"
    HOLDER = "holder"
    CARD = "card"


def bank_subject(bank: BankId) -> UUID:
    """What stands for a bank where holders and cards stand by their ids."""
    return uuid5(NAMESPACE_OID, f"controls:{bank}")


Check = Callable[[Purchase], Declined | None]


class Compiled:
    """A sheet made quick to ask: only the rules it has, in the order they are asked."""

    def __init__(self, by: SetBy, sheet: ControlSheet) -> None:
        self.by = by
        self.sheet = sheet
        self.checks: tuple[Check, ...] = tuple(_checks(by, sheet))
        self._amounts = {currency: tuple(_amounts(by, sheet, currency)) for currency in Currency}

    def amounts(self, purchase: Purchase) -> list[SetRule]:
        """The rules on money and number that concern a purchase, for its card or its holder."""
        by, card_id, holder_id = self.by.value, purchase.card_id, purchase.holder_id
        return [
            SetRule(by=by, subject=card_id if of_card else holder_id, rule=rule, measure=measure)
            for of_card, rule, measure in self._amounts[purchase.amount.currency]
        ]


def _amounts(
    by: SetBy, sheet: ControlSheet, currency: Currency
) -> Iterator[tuple[bool, Rule, str]]:
    """The rules in one currency, the shortest window first; whether each is a card's."""
    of_currency = [one for one in sheet.spend if one.currency is currency]
    for one in sorted(of_currency, key=lambda one: _WINDOWS[one.window]):
        per = _PER.get(by, one.per)
        rule = card_rule(one.window, currency, per, one.most_minor, one.most_count)
        yield per is Per.CARD, rule, rule.measure


_PER: Final = {SetBy.HOLDER: Per.HOLDER, SetBy.CARD: Per.CARD}
_WINDOWS: Final = {window: place for place, window in enumerate(Window)}


@lru_cache(10_000)
def compiled(by: SetBy, body: str) -> Compiled:
    """A stored sheet made ready, remembered by its text: the same for whoever has the same."""
    return Compiled(by, msgspec.json.decode(body, type=ControlSheet))


def decide_lists(sheets: Sequence[Compiled], purchase: Purchase) -> Declined | None:
    """The first list or hour that does not allow the purchase.

    Declines: CHANNEL_NOT_ALLOWED, COUNTRY_NOT_ALLOWED, MCC_NOT_ALLOWED, MERCHANT_NOT_ALLOWED,
    OUTSIDE_TIME_WINDOW, each with `set_by` and what it was about.
    """
    for sheet in sheets:
        for check in sheet.checks:
            declined = check(purchase)
            if declined is not None:
                return declined
    return None


def _checks(by: SetBy, sheet: ControlSheet) -> list[Check]:
    mccs = sheet.mccs
    checks = (
        _listed(
            _Said(by, "channel", Reason.CHANNEL_NOT_ALLOWED, lambda p: p.channel.value),
            *_among(sheet.channels),
        ),
        _listed(
            _Said(by, "country", Reason.COUNTRY_NOT_ALLOWED, lambda p: p.merchant.country),
            *_among(sheet.countries),
        ),
        _listed(
            _Said(by, "mcc", Reason.MCC_NOT_ALLOWED, lambda p: p.merchant.mcc),
            None if mccs.allow is None else _coded(mccs.allow),
            _coded(mccs.deny) if mccs.deny else None,
        ),
        _listed(
            _Said(by, "merchant", Reason.MERCHANT_NOT_ALLOWED, lambda p: p.merchant.id),
            *_among(sheet.merchants),
        ),
        None if sheet.hours is None else _hours(by, minutes_of(sheet.hours)),
    )
    return [check for check in checks if check is not None]


Among = Callable[[str], bool | int]
"""Whether what a purchase says is in a list."""


def _among(listed: Channels | Countries | Merchants) -> tuple[Among | None, Among | None]:
    # An enum's members that are texts are met by their texts.
    allow = None if listed.allow is None else frozenset[str](listed.allow).__contains__
    return allow, frozenset[str](listed.deny).__contains__ if listed.deny else None


def _coded(ranges: Iterable[str]) -> Among:
    """What is no code of four digits is in no list."""
    bits = codes_of(ranges)
    return lambda code: (
        len(code) == 4 and code.isascii() and code.isdigit() and bits >> int(code) & 1
    )


class _Said(NamedTuple):
    """What of a purchase a list is about, and how it is declined."""

    by: SetBy
    what: str
    reason: Reason
    of: Callable[[Purchase], str]


def _listed(about: _Said, allowed: Among | None, denied: Among | None) -> Check | None:
    if allowed is None and denied is None:
        return None

    def check(purchase: Purchase) -> Declined | None:
        said = about.of(purchase)
        if denied is not None and denied(said):
            rule = f"{about.what}_deny"
        elif allowed is not None and not allowed(said):
            rule = f"{about.what}_allow"
        else:
            return None
        facts: dict[str, str | int] = {"set_by": about.by.value, "rule": rule, about.what: said}
        facts["merchant_name"] = purchase.merchant.name
        return Declined(reason=about.reason, facts=facts)

    return check


def _hours(by: SetBy, minutes: int) -> Check:
    def check(purchase: Purchase) -> Declined | None:
        if minutes >> minute_of_week(purchase.moment) & 1:
            return None
        return Declined(
            reason=Reason.OUTSIDE_TIME_WINDOW,
            facts={
                "set_by": by.value,
                "rule": "hours",
                "opens_at": opens_at(minutes, purchase.moment),
            },
        )

    return check


def minute_of_week(moment: datetime) -> int:
    """Which minute of the Phnom Penh week it is, Monday's first being 0."""
    local = moment.astimezone(PHNOM_PENH)
    return local.weekday() * 1_440 + local.hour * 60 + local.minute


def opens_at(minutes: int, moment: datetime) -> str:
    """The next minute allowed, as Phnom Penh's clocks show it; `-` if there is none."""
    if not minutes:
        return "-"
    now = minute_of_week(moment)
    turned = (minutes >> now | minutes << (WEEK - now)) & ((1 << WEEK) - 1)
    away = (turned & -turned).bit_length() - 1
    local = moment.astimezone(PHNOM_PENH).replace(second=0, microsecond=0)
    return (local + timedelta(minutes=away)).strftime("%Y-%m-%d %H:%M")

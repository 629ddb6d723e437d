"""A control sheet: what one party (the bank, a holder, a card's holder for that card) allows.

Promise: null is no rule and never a closed door; an empty list of what is allowed allows nothing,
and 0 is an amount or a number of nothing. Within a sheet, and between sheets, every rule must
allow: no rule lifts another, what is denied is denied whoever allows it. Moments are Phnom Penh's.

Pure. Who calls: deciding, versions, setting; doors read the types.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Final

from msgspec import Meta, Struct

from wallet.limits import Channel, Per, Window
from wallet.money import Currency
from wallet.outcomes import Reason, Refused

Most = Annotated[int, Meta(ge=0, le=2**53)] | None
MccRange = Annotated[str, Meta(pattern="^[0-9]{4}(-[0-9]{4})?$", examples=["5411", "3000-3299"])]
CountryCode = Annotated[str, Meta(pattern="^[A-Z]{2}$", examples=["KH"])]
MerchantId = Annotated[str, Meta(min_length=1, max_length=64, examples=["SHOP0001"])]
ClockTime = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
Weekday = Annotated[int, Meta(ge=1, le=7)]

MOST_ENTRIES: Final = 200
"""How many entries one list holds, and how many amounts and hours a sheet."""


class Spend(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much, how often: `most_minor` in minor units of `currency`, `most_count` purchases in it.

    `per`: in the bank's sheet, whether each card is counted or each holder over all their cards;
    a holder's sheet counts that holder and a card's that card, whatever is said here.
    """

    window: Window
    currency: Currency
    most_minor: Most = None
    most_count: Most = None
    per: Per = Per.CARD


class Mccs(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    allow: tuple[MccRange, ...] | None = None
    deny: tuple[MccRange, ...] = ()


class Merchants(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    allow: tuple[MerchantId, ...] | None = None
    deny: tuple[MerchantId, ...] = ()


class Countries(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    allow: tuple[CountryCode, ...] | None = None
    deny: tuple[CountryCode, ...] = ()


class Channels(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    allow: tuple[Channel, ...] | None = None
    deny: tuple[Channel, ...] = ()


class Hours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of Phnom Penh days (1 Monday to 7 Sunday), `begin` included, `end` not. One that
    ends before it begins runs over midnight into the next day."""

    days: tuple[Weekday, ...]
    begin: ClockTime
    end: ClockTime


class ControlSheet(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Everything one party controls, replaced whole. `hours`: null any time, empty never."""

    spend: tuple[Spend, ...] = ()
    channels: Channels = Channels()
    countries: Countries = Countries()
    mccs: Mccs = Mccs()
    merchants: Merchants = Merchants()
    hours: tuple[Hours, ...] | None = None


NO_CONTROLS: Final = ControlSheet()

AnyList = Channels | Countries | Mccs | Merchants


def decide_sheet(sheet: ControlSheet) -> None:
    """Refuses: INVALID_REQUEST (a list too long; a number of purchases within one purchase other
    than 0; an MCC range or hours that hold nothing), naming the field."""
    for field, entries in lists_of(sheet):
        if len(entries) > MOST_ENTRIES:
            raise Refused(Reason.INVALID_REQUEST, field=field, most=MOST_ENTRIES)
    for place, spend in enumerate(sheet.spend):
        if spend.window is Window.PAYMENT and spend.most_count not in (None, 0):
            raise Refused(Reason.INVALID_REQUEST, field=f"spend[{place}].most_count")
    for text in (*(sheet.mccs.allow or ()), *sheet.mccs.deny):
        if text[-4:] < text[:4]:
            raise Refused(Reason.INVALID_REQUEST, field="mccs")
    for place, hours in enumerate(sheet.hours or ()):
        if hours.begin == hours.end or hours.begin == "24:00" or not hours.days:
            raise Refused(Reason.INVALID_REQUEST, field=f"hours[{place}]")


def lists_of(sheet: ControlSheet) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Everything in a sheet that is a list, by its field."""
    for field in ("channels", "countries", "mccs", "merchants"):
        listed: AnyList = getattr(sheet, field)
        yield f"{field}.allow", listed.allow or ()
        yield f"{field}.deny", listed.deny
    yield "spend", sheet.spend
    yield "hours", sheet.hours or ()


def loosens(before: ControlSheet, after: ControlSheet) -> bool:
    """Whether anything might be allowed after that was not before. Never wrongly no; a rule put
    another way that allows the same may be taken for looser."""
    return (
        _list_loosens(before.channels, after.channels)
        or _list_loosens(before.countries, after.countries)
        or _list_loosens(before.merchants, after.merchants)
        or _mccs_loosen(before.mccs, after.mccs)
        or bool(minutes_of(after.hours) & ~minutes_of(before.hours))
        or _spend_loosens(before.spend, after.spend)
    )


def _list_loosens(before: AnyList, after: AnyList) -> bool:
    if not set(before.deny) <= set(after.deny):
        return True
    if before.allow is None:
        return False
    return after.allow is None or not set(after.allow) <= set(before.allow)


def _mccs_loosen(before: Mccs, after: Mccs) -> bool:
    if codes_of(before.deny) & ~codes_of(after.deny):
        return True
    if before.allow is None:
        return False
    return after.allow is None or bool(codes_of(after.allow) & ~codes_of(before.allow))


def codes_of(ranges: Iterable[str]) -> int:
    """A bit for each four-digit code in the ranges, 0000's the lowest."""
    bits = 0
    for text in ranges:
        first, last = int(text[:4]), int(text[-4:])
        bits |= ((1 << (last - first + 1)) - 1) << first
    return bits


def _spend_loosens(before: tuple[Spend, ...], after: tuple[Spend, ...]) -> bool:
    tighter = _tightest(after)
    return any(
        tighter.get(key) is None or tighter[key] > most for key, most in _tightest(before).items()
    )


def _tightest(spends: tuple[Spend, ...]) -> dict[tuple[object, ...], int]:
    found: dict[tuple[object, ...], int] = {}
    for spend in spends:
        for sort, most in (("minor", spend.most_minor), ("count", spend.most_count)):
            if most is not None:
                key = (spend.window, spend.currency, spend.per, sort)
                found[key] = min(most, found.get(key, most))
    return found


WEEK: Final = 7 * 1_440
_WHOLE_WEEK: Final = (1 << WEEK) - 1


def minutes_of(hours: tuple[Hours, ...] | None) -> int:
    """A bit for each minute of a week that is allowed, Monday's first the lowest."""
    if hours is None:
        return _WHOLE_WEEK
    bits = 0
    for stretch in hours:
        begin, end = _minute(stretch.begin), _minute(stretch.end)
        length = end - begin if end > begin else end + 1_440 - begin
        for day in set(stretch.days):
            bits |= ((1 << length) - 1) << ((day - 1) * 1_440 + begin)
    return (bits & _WHOLE_WEEK) | bits >> WEEK  # Sunday night runs into Monday


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])

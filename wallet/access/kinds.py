"""What an intent's kind is made of: the words between the intents and the rooms they belong to.

Promise: types only. A room exports an `IntentKind` (`wallet.qr.PAY`) whose `prepare` and
`authorise` are group functions: many callers' requests in one transaction, answered in order.
Who calls: intents (which also re-exports these), every room with an act a phone may sign.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from wallet.identifiers import BankId, DeviceId, HolderId, IntentId
from wallet.money import Currency, Money
from wallet.outcomes import Facts, GroupAnswer, Refused
from wallet.work import Work


class Asked(Struct, frozen=True, kw_only=True):
    """One caller's wish, as the door understood it; `fields` is the kind's own Struct."""

    holder_id: HolderId
    device_id: DeviceId
    bank: BankId
    language: str
    fields: Any
    cooling: bool = False
    """The phone or the number is newer than 12 hours: every act on money asks for a code."""
    unproven_minor: Mapping[Currency, int] = {}
    """What this phone moved on signatures alone since its last right code."""

    def moved_unproven(self, money: Money | None) -> int:
        return 0 if money is None else self.unproven_minor.get(money.currency, 0)


class Prepared(Struct, frozen=True, kw_only=True):
    """What a kind's room says will happen: shown in both languages, signed, and later done.

    `plan` is JSON-able and is what the effect needs; `facts` are shown beside the text. `ask_code`
    lets a room ask for a one-time password for a reason of its own (a look-alike
    name); `new_payee` says that this holder never paid this payee, and the policy decides.
    """

    text_en: str
    text_km: str
    plan: dict[str, Any]
    money: Money | None = None
    payee: str = ""
    facts: Facts = {}
    ask_code: bool = False
    new_payee: bool = False


class Consumed(Struct, frozen=True, kw_only=True):
    """An intent whose factors were all right, handed to its room to take effect now.

    `device_key` is the signing phone's public key, an uncompressed P-256 point (65 bytes). The
    money's transfer id is the intent id itself.
    """

    intent_id: IntentId
    holder_id: HolderId
    device_id: DeviceId
    device_key: bytes
    bank: BankId
    money: Money | None
    payee: str
    plan: dict[str, Any]
    now: datetime


def _cooling_limit() -> Mapping[Currency, int]:
    return {Currency.KHR: 400_000, Currency.USD: 10_000}


class OtpPolicy(Struct, frozen=True, kw_only=True):
    """When a kind asks for a one-time password on top of the signature.

    Amounts in minor units; a currency without an amount has no such limit.
    """

    always: bool = False
    above_minor: Mapping[Currency, int] = {}
    new_payee_above_minor: Mapping[Currency, int] = {}
    cumulative_minor: Mapping[Currency, int] = {}
    """How much may be moved on signatures alone since the last code was right."""
    while_cooling: bool = True
    cooling_limit_minor: Mapping[Currency, int] = msgspec.field(default_factory=_cooling_limit)
    """What may be moved in a Phnom Penh day while the phone cools off."""

    NEVER: ClassVar[OtpPolicy]
    ALWAYS: ClassVar[OtpPolicy]

    @classmethod
    def above(cls, *limits: Money) -> OtpPolicy:
        """Ask for amounts strictly above the limit of their currency; others go on signature."""
        return cls(above_minor={limit.currency: limit.minor for limit in limits})

    def asks(self, money: Money | None, *, new_payee: bool = False) -> bool:
        """Whether this act asks for a code for its own sake, whatever went before it."""
        if self.always or money is None:
            return self.always
        return _over(self.above_minor, money) or (
            new_payee and _over(self.new_payee_above_minor, money)
        )

    def asks_after(self, moved: int, money: Money | None, *, cooling: bool) -> bool:
        """Whether what went before asks for a code: `moved` in this currency on signatures alone,
        or a phone that cools off."""
        if money is None:
            return False
        limit = self.cumulative_minor.get(money.currency)
        return (cooling and self.while_cooling) or (
            limit is not None and moved + money.minor > limit
        )


def _over(limits: Mapping[Currency, int], money: Money) -> bool:
    limit = limits.get(money.currency)
    return limit is not None and money.minor > limit


OtpPolicy.NEVER = OtpPolicy()
OtpPolicy.ALWAYS = OtpPolicy(always=True)

Prepare = Callable[[Work, Sequence[Asked]], Awaitable[Sequence[Prepared | Refused]]]
Authorise = Callable[[Work, Sequence[Consumed]], Awaitable[Sequence[GroupAnswer]]]


class IntentKind(Struct, frozen=True, kw_only=True):
    """One kind of act: its wire fields, how it is worded, how it takes effect, its code policy.

    Both functions get many callers' requests in one transaction and answer each, in order.
    """

    name: str
    fields: type[Struct]
    prepare: Prepare
    authorise: Authorise
    otp: OtpPolicy | None = None
    """None: what the policy table says of this name."""
    awaited: bool = False
    """Its code is the first of an authenticator that waits to be confirmed."""
    recoverable: bool = False
    """A recovery code is taken for it as well."""

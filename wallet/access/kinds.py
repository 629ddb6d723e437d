"""What an intent's kind is made of: the words between the intents and the rooms they belong to.

Promise: types only. A room exports an `IntentKind` (`wallet.qr.PAY`) whose `prepare` and
`authorise` are group functions: many callers' requests in one transaction, answered in order.
Who calls: intents (which also re-exports these), every room with an act a phone may sign.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

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
    """The phone replaced another less than 12 hours ago: every act on money asks for a code."""


class Prepared(Struct, frozen=True, kw_only=True):
    """What a kind's room says will happen: shown in both languages, signed, and later done.

    `plan` is JSON-able and is what the effect needs; `facts` are shown beside the text. `ask_code`
    lets a room ask for a one-time password for a reason of its own (a new payee).
    """

    text_en: str
    text_km: str
    plan: dict[str, Any]
    money: Money | None = None
    payee: str = ""
    facts: Facts = {}
    ask_code: bool = False


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


class OtpPolicy(Struct, frozen=True, kw_only=True):
    """When a kind asks for a one-time password on top of the signature."""

    always: bool = False
    above_minor: Mapping[Currency, int] = {}
    awaited: bool = False
    """The code is the first of an authenticator that waits to be confirmed."""

    NEVER: ClassVar[OtpPolicy]
    ALWAYS: ClassVar[OtpPolicy]
    AWAITED: ClassVar[OtpPolicy]

    @classmethod
    def above(cls, *limits: Money) -> OtpPolicy:
        """Ask for amounts strictly above the limit of their currency; others go on signature."""
        return cls(above_minor={limit.currency: limit.minor for limit in limits})

    def asks(self, money: Money | None) -> bool:
        if self.always or money is None:
            return self.always
        limit = self.above_minor.get(money.currency)
        return limit is not None and money.minor > limit


OtpPolicy.NEVER = OtpPolicy()
OtpPolicy.ALWAYS = OtpPolicy(always=True)
OtpPolicy.AWAITED = OtpPolicy(always=True, awaited=True)

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
    otp: OtpPolicy = OtpPolicy.NEVER

"""The port to the operators' aggregator: what we ask of it, and everything it can answer.

Promise: an adapter never raises for what happens on the wire; a time-out, a broken connection, a
5xx or an answer nobody understands is `Unknown`, for the airtime may have gone out all the same.
Who implements it: runtime's HTTP adapter. Who calls: delivering.
"""

import enum
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from wallet.money import Money
from wallet.topups.numbers import Msisdn


class Failure(enum.StrEnum):
    """Why a top-up ended without airtime: stored, and shown to the holder as a code."""

    DECLINED = "operator_declined"
    NUMBER_INVALID = "number_invalid"
    WRONG_OPERATOR = "wrong_operator"
    PRODUCT_UNAVAILABLE = "product_unavailable"
    FLOAT_EMPTY = "float_empty"
    OPERATOR_BUSY = "operator_busy"
    NOT_RECEIVED = "not_received"
    OPERATOR_SILENT = "operator_silent"
    TAKEN_BACK = "taken_back"


class Delivered(Struct, frozen=True, kw_only=True, tag="delivered"):
    """The airtime reached the phone."""

    provider_ref: str


class Open(Struct, frozen=True, kw_only=True, tag="open"):
    """The provider has it and has not finished."""

    provider_ref: str


class NotDelivered(Struct, frozen=True, kw_only=True, tag="not_delivered"):
    """It will never be delivered."""

    failure: Failure


class TakenBack(Struct, frozen=True, kw_only=True, tag="taken_back"):
    """It was delivered, and the provider undid that."""

    provider_ref: str


class NotFound(Struct, frozen=True, kw_only=True, tag="not_found"):
    """The provider knows no such reference, yet."""


class AlreadyUsed(Struct, frozen=True, kw_only=True, tag="already_used"):
    """The provider had this reference before: look it up."""


class Unknown(Struct, frozen=True, kw_only=True, tag="unknown"):
    """No answer that can be relied on."""


class NotSent(Struct, frozen=True, kw_only=True, tag="not_sent"):
    """Ours, not the provider's: decided before anything was sent, and void once it was."""

    failure: Failure


Answer = Delivered | Open | NotDelivered | TakenBack | NotFound | AlreadyUsed | Unknown


class Owner(Struct, frozen=True, kw_only=True, tag="owner"):
    """The operator a number belongs to today, by code."""

    operator: str


Found = Owner | NotFound | Unknown


class OperatorPort(Protocol):
    """What the wallet needs of an aggregator. Calls are made outside any Work."""

    async def lookup(self, msisdn: Msisdn) -> Found:
        """Whose number it is."""
        ...

    async def products(self, operator: str) -> Sequence[str] | Unknown:
        """The provider's product names on sale for an operator."""
        ...

    async def submit(self, ref: str, product: str, msisdn: Msisdn, amount: Money) -> Answer:
        """Buy `amount` of airtime (dollars) under our reference; never called twice with one."""
        ...

    async def get_by_ref(self, ref: str) -> Answer:
        """What became of a reference."""
        ...

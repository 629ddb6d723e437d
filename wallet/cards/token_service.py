"""The port to the wallets' token service: what is asked of it, and what may come back.

Promise: everything is asked under the token's own id, with a version that only grows, so that an
order may be repeated, and one that comes late changes nothing. What the wire leaves open is
`Unknown`, never a guess. Who calls: tokenising; runtime brings the adapter.
"""

import enum
from datetime import date
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from wallet.identifiers import Secret


class TokenState(enum.StrEnum):
    """REQUESTED: asked for and not answered yet. DELETED is final."""

    REQUESTED = "REQUESTED"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    DELETED = "DELETED"


class Order(Struct, frozen=True, kw_only=True):
    """The token `ref` shall be in `state`. The number goes only with the order that makes it."""

    ref: UUID
    version: int
    state: TokenState
    wallet: str
    last_four: str
    expires_on: date
    number: Secret[str] | None = None


class Known(Struct, frozen=True, kw_only=True):
    """What the service holds under a ref, after which of our orders."""

    state: TokenState
    version: int
    provider_ref: str


class NotKnown(Struct, frozen=True):
    """The service has never heard of the ref."""


class TurnedDown(Struct, frozen=True):
    """The service will not have this card: a final no."""


class Unknown(Struct, frozen=True):
    """No answer that can be relied on."""


class TokenService(Protocol):
    async def order(self, order: Order) -> Known | TurnedDown | Unknown: ...

    async def look_up(self, ref: UUID) -> Known | NotKnown | Unknown: ...

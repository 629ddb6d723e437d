"""The wallets' token service over HTTP: `wallet.cards.token_service.TokenService`.

Promise: raises nothing for what the wire does. A time-out, a broken connection, a 5xx, or an answer
not understood in every part is `Unknown`; only a plain 409 turned_down is `TurnedDown`, only a 404
of the service itself is `NotKnown`. The card's number is in the body of the order that makes a
token and nowhere else, and no body is ever logged. Who calls: runtime wires it into the worker.
"""

from typing import Final, Literal
from uuid import UUID

import httpx
import msgspec
from msgspec import Struct

from wallet.cards.token_service import Known, NotKnown, Order, TokenState, TurnedDown, Unknown

CONNECT_S: Final = 2.0
ANSWER_S: Final = 5.0


class _Kept(Struct, frozen=True):
    ref: UUID
    version: int
    state: Literal["ACTIVE", "SUSPENDED", "DELETED"]
    token_ref: str


class _No(Struct, frozen=True):
    error: str


class HttpTokenService:
    """One service at one address. `close()` it when the process ends."""

    def __init__(self, url: str, *, answer_s: float = ANSWER_S) -> None:
        # No proxy and no redirect: an answer comes from the service itself or counts as none.
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(answer_s, connect=min(CONNECT_S, answer_s)),
            trust_env=False,
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def order(self, order: Order) -> Known | TurnedDown | Unknown:
        """One request, never repeated by the client."""
        body: dict[str, object] = {
            "version": order.version,
            "state": order.state.value,
            "wallet": order.wallet,
            "last_four": order.last_four,
            "expires_on": order.expires_on.isoformat(),
        }
        if order.number is not None:
            body["number"] = order.number.reveal()
        try:
            answer = await self._http.put(f"/v1/tokens/{order.ref}", json=body)
        except httpx.HTTPError:
            return Unknown()
        if answer.status_code == httpx.codes.CONFLICT and _error(answer) == "turned_down":
            return TurnedDown()
        return _known(answer, order.ref)

    async def look_up(self, ref: UUID) -> Known | NotKnown | Unknown:
        try:
            answer = await self._http.get(f"/v1/tokens/{ref}")
        except httpx.HTTPError:
            return Unknown()
        if answer.status_code == httpx.codes.NOT_FOUND and _error(answer) == "no_such_token":
            return NotKnown()
        return _known(answer, ref)


def _known(answer: httpx.Response, ref: UUID) -> Known | Unknown:
    if not answer.is_success:
        return Unknown()
    try:
        kept = msgspec.json.decode(answer.content, type=_Kept)
    except msgspec.DecodeError:
        return Unknown()
    if kept.ref != ref:
        return Unknown()
    return Known(state=TokenState(kept.state), version=kept.version, provider_ref=kept.token_ref)


def _error(answer: httpx.Response) -> str | None:
    try:
        return msgspec.json.decode(answer.content, type=_No).error
    except msgspec.DecodeError:
        return None

"""The operators' aggregator over HTTP: `wallet.topups.OperatorPort` in DT One's dialect.

Promise: raises nothing for what the wire does. A time-out, a broken connection, a 5xx, or an
answer it does not understand in every part is `Unknown`; only a plain "no" of the provider is
`NotDelivered`, only an empty list is `NotFound`. Who calls: runtime wires it into the worker.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

import httpx
import msgspec
from msgspec import Struct

from wallet.identifiers import Secret
from wallet.money import Money
from wallet.topups.numbers import Msisdn
from wallet.topups.operators import (
    AlreadyUsed,
    Answer,
    Delivered,
    Failure,
    Found,
    NotDelivered,
    NotFound,
    Open,
    Owner,
    TakenBack,
    Unknown,
)

CONNECT_S: Final = 2.0
ANSWER_S: Final = 5.0

_OPEN: Final = frozenset({1, 2, 5})
_DELIVERED: Final = 7
_TAKEN_BACK: Final = 8
_NOT_DELIVERED: Final = frozenset({3, 4, 9})
_ALREADY_USED: Final = 1007001
_FAILURES: Final = {
    1003001: Failure.PRODUCT_UNAVAILABLE,
    1003002: Failure.PRODUCT_UNAVAILABLE,
    1005003: Failure.NUMBER_INVALID,
    1006001: Failure.FLOAT_EMPTY,
}
_NUMBER_UNKNOWN: Final = 1005003

T = TypeVar("T")


class _Status(Struct, frozen=True):
    id: int


class _Transaction(Struct, frozen=True):
    id: int
    external_id: str
    status: _Status


class _Error(Struct, frozen=True):
    code: int


class _Errors(Struct, frozen=True):
    errors: list[_Error]


class _Identified(Struct, frozen=True):
    id: str
    identified: bool


class _Product(Struct, frozen=True):
    id: str


class HttpOperators:
    """One aggregator at one address. `close()` it when the process ends."""

    def __init__(
        self,
        url: str,
        *,
        login: tuple[str, Secret[str]] | None = None,
        callback_url: str | None = None,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._callback_url = callback_url
        # No proxy and no redirect: an answer comes from the provider itself or counts as none.
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(answer_s, connect=min(CONNECT_S, answer_s)),
            auth=None if login is None else httpx.BasicAuth(login[0], login[1].reveal()),
            trust_env=False,
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def lookup(self, msisdn: Msisdn) -> Found:
        """Whose number it is today."""
        answer = await self._get(f"/v1/lookup/mobile-number/{msisdn}")
        if answer is None:
            return Unknown()
        if answer.status_code == httpx.codes.NOT_FOUND:
            return NotFound() if _NUMBER_UNKNOWN in _error_codes(answer) else Unknown()
        owners = [one for one in _read(answer, list[_Identified]) or () if one.identified]
        return Owner(operator=owners[0].id) if len(owners) == 1 else Unknown()

    async def products(self, operator: str) -> Sequence[str] | Unknown:
        """The provider's product names on sale for an operator."""
        answer = await self._get("/v1/products", {"operator": operator})
        listed = None if answer is None else _read(answer, list[_Product])
        return Unknown() if listed is None else [product.id for product in listed]

    async def submit(self, ref: str, product: str, msisdn: Msisdn, amount: Money) -> Answer:
        """Buy airtime under our reference: one request, never repeated by the client."""
        order: dict[str, object] = {
            "external_id": ref,
            "product_id": product,
            "amount": amount.decimal(),
            "credit_party_identifier": {"mobile_number": msisdn},
            "auto_confirm": True,
        }
        if self._callback_url is not None:
            order["callback_url"] = self._callback_url
        try:
            answer = await self._http.post("/v1/async/transactions", json=order)
        except httpx.HTTPError:
            return Unknown()
        return _read_submission(answer, ref)

    async def get_by_ref(self, ref: str) -> Answer:
        """What became of a reference: an empty list alone means it is not known."""
        answer = await self._get("/v1/transactions", {"external_id": ref})
        listed = None if answer is None else _read(answer, list[_Transaction])
        match listed:
            case []:
                return NotFound()
            case [found] if found.external_id == ref:
                return _read_status(found)
            case _:
                return Unknown()

    async def _get(self, path: str, query: dict[str, str] | None = None) -> httpx.Response | None:
        try:
            return await self._http.get(path, params=query)
        except httpx.HTTPError:
            return None


def _read_submission(answer: httpx.Response, ref: str) -> Answer:
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return NotDelivered(failure=Failure.OPERATOR_BUSY)
    if answer.is_success:
        found = _read(answer, _Transaction)
        return _read_status(found) if found and found.external_id == ref else Unknown()
    if not answer.is_client_error:
        return Unknown()
    codes = _error_codes(answer)
    if _ALREADY_USED in codes:
        return AlreadyUsed()
    # Anything else among the codes might mean "accepted after all": look it up instead.
    if len(codes) == 1 and codes[0] in _FAILURES:
        return NotDelivered(failure=_FAILURES[codes[0]])
    return Unknown()


def _read_status(found: _Transaction) -> Answer:
    provider_ref = str(found.id)
    if found.status.id == _DELIVERED:
        return Delivered(provider_ref=provider_ref)
    if found.status.id in _OPEN:
        return Open(provider_ref=provider_ref)
    if found.status.id in _NOT_DELIVERED:
        return NotDelivered(failure=Failure.DECLINED)
    if found.status.id == _TAKEN_BACK:
        return TakenBack(provider_ref=provider_ref)
    return Unknown()


def _read(answer: httpx.Response, wanted: type[T]) -> T | None:
    if not answer.is_success:
        return None
    try:
        return msgspec.json.decode(answer.content, type=wanted)
    except msgspec.DecodeError:
        return None


def _error_codes(answer: httpx.Response) -> list[int]:
    try:
        return [e.code for e in msgspec.json.decode(answer.content, type=_Errors).errors]
    except msgspec.DecodeError:
        return []

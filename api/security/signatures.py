"""ATM hosts sign every request (RFC 9421), and we sign every answer.

Promise: exactly one signature, over exactly the components listed here, with exactly the
parameters listed here; the algorithm comes from the key's record; the digest is over the raw body;
a signature lives at most 60 s and its nonce is taken once. An answer's signature covers its
status, its body and the signature of the request it answers. Who calls: the ATM door.

Without Redis nonces cannot be looked at, and requests go on: a replay still meets its
Idempotency-Key, which the signature covers, in PostgreSQL, and has no second effect.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import http_sf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    MappingKeyResolver,
    algorithms,
)
from litestar import Request, Router
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from msgspec import Struct

from api.security.callers import Connection, named_caller, resources_of, set_caller
from wallet.access import atm_hosts
from wallet.access.atm_hosts import Algorithm, AnswerKey, HostKey
from wallet.identifiers import BankId
from wallet.outcomes import Reason, Refused
from wallet.work import Actor

COVERED: Final = frozenset(
    {
        '"@method"',
        '"@authority"',
        '"@path"',
        '"@query"',
        '"content-digest"',
        '"idempotency-key"',
        '"x-terminal-id"',
    }
)
PARAMETERS: Final = frozenset({"created", "expires", "nonce", "keyid", "tag"})
TAG: Final = "smartid-atm"
ANSWER_TAG: Final = "smartid-atm-answer"
LONGEST_LIFE: Final = timedelta(seconds=60)
SKEW: Final = timedelta(seconds=60)
NONCE_KEPT_S: Final = 300

_ALGORITHMS: Final[dict[Algorithm, type[HTTPSignatureAlgorithm]]] = {
    Algorithm.ED25519: algorithms.ED25519,
    Algorithm.HMAC_SHA256: algorithms.HMAC_SHA256,
}
_SIGNED_FIELDS: Final = ("content-digest", "idempotency-key", "x-terminal-id")
_NONCE: Final = re.compile(r"[\x21-\x7e]{16,128}")
_TERMINAL: Final = re.compile(r"[A-Za-z0-9._-]{1,16}")


class AtmCaller(Struct, frozen=True, kw_only=True):
    """A bank's ATM host, speaking for one of its terminals."""

    bank: BankId
    terminal: str
    keyid: str

    @property
    def actor(self) -> Actor:
        return atm_hosts.actor_of(self.bank, self.terminal)


def atm_door(path: str, handlers: Sequence[Any]) -> Router:
    """A router for ATM hosts: `caller: AtmCaller` by signature, without exception; every answer of
    it is signed."""
    return Router(
        path,
        route_handlers=handlers,
        guards=[_name_host],
        dependencies={"caller": Provide(_host)},
        middleware=[AnswerSigning],
        security=[{"atm": []}],
    )


async def _name_host(connection: Connection, handler: BaseRouteHandler) -> None:
    if not isinstance(connection, Request):
        raise Refused(Reason.UNAUTHENTICATED)
    resources = resources_of(connection)
    body = await connection.body()
    message = _received(connection, resources.policy.host)
    terminal = message.headers.get("x-terminal-id", "")
    keyid = _keyid(message)
    key = await atm_hosts.key_named(resources.works, resources.vault, keyid, terminal)
    if key is None:
        raise Refused(Reason.SIGNATURE_INVALID)
    parameters = verified(message, body, key)
    decide_fresh(parameters, resources.clock.now())
    if not (_TERMINAL.fullmatch(terminal) and key.terminal_listed):
        raise Refused(Reason.TERMINAL_UNKNOWN)
    await _spend_nonce(connection, f"atm:{keyid}:{parameters['nonce']}")
    set_caller(connection, AtmCaller(bank=key.bank, terminal=terminal, keyid=keyid))


async def _host(request: Request[Any, Any, Any]) -> AtmCaller:
    return named_caller(request, AtmCaller)


async def _spend_nonce(connection: Connection, nonce: str) -> None:
    try:
        fresh = await resources_of(connection).throttle.spend_nonce(nonce, NONCE_KEPT_S)
    except Refused:
        return
    if not fresh:
        raise Refused(Reason.SIGNATURE_REPLAYED)


@dataclass(frozen=True, slots=True)
class _Received:
    """A request as the signature library reads it. The authority is our own name, whatever the
    Host header says."""

    method: str
    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Answer:
    status_code: int
    headers: dict[str, str]
    request: _Received


def _received(connection: Connection, authority: str) -> _Received:
    headers: dict[str, str] = {}
    for raw_name, raw_value in connection.scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in headers and (name in _SIGNED_FIELDS or name.startswith("signature")):
            # Two lines of one field are signed as one list but read as the first or the last.
            raise Refused(Reason.SIGNATURE_INVALID)
        headers[name] = raw_value.decode("latin-1")
    return _Received(_method(connection.scope), _url(connection.scope, authority), headers)


def _method(scope: Mapping[str, Any]) -> str:
    return str(scope["method"])


def _url(scope: Mapping[str, Any], authority: str) -> str:
    raw_path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    query: bytes = scope.get("query_string", b"")
    path = raw_path.split(b"?")[0].decode("latin-1")
    return f"https://{authority}{path}" + (f"?{query.decode('latin-1')}" if query else "")


def _keyid(message: _Received) -> str:
    try:
        field = message.headers["signature-input"].encode()
        parsed: Any = http_sf.parse(field, tltype="dictionary")
        [(_, parameters)] = parsed.values()
        return str(parameters["keyid"])
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Refused(Reason.SIGNATURE_INVALID) from None


def verified(message: _Received, body: bytes, key: HostKey) -> dict[str, int | str]:
    """The parameters of the message's one signature, over all of COVERED, by this key.

    Refuses: SIGNATURE_INVALID.
    """
    material: Any = key.key.reveal()
    if key.algorithm is Algorithm.ED25519:
        material = Ed25519PublicKey.from_public_bytes(material)
    verifier = _Verifier(
        signature_algorithm=_ALGORITHMS[key.algorithm],
        key_resolver=MappingKeyResolver(public_keys={key.keyid: material}, private_keys={}),
    )
    try:
        # Without a tag to pick by, the library itself refuses more than one signature.
        [result] = verifier.verify(message, max_age=None, body=body)
    except HTTPMessageSignaturesException:
        raise Refused(Reason.SIGNATURE_INVALID) from None
    covered = set(result.covered_components) - {'"@signature-params"'}
    if covered != COVERED or set(result.parameters) - {"alg"} != PARAMETERS:
        raise Refused(Reason.SIGNATURE_INVALID)
    if result.parameters["tag"] != TAG or not _NONCE.fullmatch(str(result.parameters["nonce"])):
        raise Refused(Reason.SIGNATURE_INVALID)
    return result.parameters


def decide_fresh(parameters: Mapping[str, int | str], now: datetime) -> None:
    """Refuse a signature made more than 60 s from now either way, run out, or meant to last longer
    than 60 s. Refuses: SIGNATURE_STALE."""
    created, expires = int(parameters["created"]), int(parameters["expires"])
    life, seconds = expires - created, now.timestamp()
    skewed = abs(seconds - created) > SKEW.total_seconds()
    if skewed or expires < seconds or not 0 < life <= LONGEST_LIFE.total_seconds():
        raise Refused(Reason.SIGNATURE_STALE, server_time=int(seconds))


class _Verifier(HTTPMessageVerifier):
    """Leaves the times to `decide_fresh`, which goes by our clock and not the library's."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Checked after the signature."""


class AnswerSigning:
    """Holds an answer back until it is whole, then signs it with our bank-facing key."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        start: dict[str, Any] = {}
        body = bytearray()

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                signed = _signed(scope, start["status"], list(start["headers"]), bytes(body))
                await send({**start, "headers": signed})  # type: ignore[arg-type]
                await send({"type": "http.response.body", "body": bytes(body), "more_body": False})

        await self._app(scope, receive, hold)


def _signed(
    scope: Scope, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> list[tuple[bytes, bytes]]:
    resources = scope["litestar_app"].state.resources
    request_headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    request = _Received(_method(scope), _url(scope, resources.policy.host), request_headers)
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    answer = _Answer(status, fields, request)
    sign_answer(answer, body, atm_hosts.answer_key(resources.vault), resources.clock.now())
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]


def sign_answer(answer: _Answer, body: bytes, key: AnswerKey, now: datetime) -> None:
    """Add Content-Digest and our signature to the answer's headers."""
    covered = ['"@status"', '"content-type"'] if "content-type" in answer.headers else ['"@status"']
    if "signature" in answer.request.headers:
        # Ties the answer to the very request: an old answer cannot be passed off for it.
        covered.append('"signature";req')
    signer = HTTPMessageSigner(
        signature_algorithm=algorithms.ED25519,
        key_resolver=MappingKeyResolver(
            public_keys={}, private_keys={key.keyid: key.private.reveal()}
        ),
    )
    signer.sign(
        answer,
        key_id=key.keyid,
        created=now.astimezone(UTC),
        tag=ANSWER_TAG,
        label="smartid",
        include_alg=False,
        covered_component_ids=[*covered, '"content-digest"'],
        body=body,
    )

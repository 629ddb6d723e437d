"""A bank's ATM host as a client: signs what its terminals ask, checks our signature on the answer.

Promise: every request is signed anew (RFC 9421; fresh nonce and time) under the same
Idempotency-Key, so that a retry is a repeat and not a replay; an answer that does not carry the
wallet's signature over this very request is not believed. It can be made to lose answers, to have
a clock that is wrong, and to hand out signed requests for tampering. Who calls: demo, tests.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    InvalidSignature,
    MappingKeyResolver,
    algorithms,
)

COVERED: Final = (
    "@method",
    "@authority",
    "@path",
    "@query",
    "content-digest",
    "idempotency-key",
    "x-terminal-id",
)
LIFE_S: Final = 60
RETRIED: Final = frozenset({409, 429, 500, 502, 503, 504})


class AnswerForgedError(Exception):
    """The answer does not carry the wallet's signature over this request."""


class NoAnswerError(Exception):
    """All attempts went without an answer: what happened is unknown to the host."""


@dataclass(frozen=True, slots=True)
class AtmAnswer:
    """What the wallet answered, its signature checked."""

    status: int
    body: Any

    @property
    def code(self) -> str | None:
        """The problem's code, when it is one."""
        return self.body.get("code") if isinstance(self.body, dict) else None


@dataclass(frozen=True, slots=True)
class _Message:
    """A request as its signature sees it: addressed to the wallet's name, whatever the socket."""

    method: str
    url: str
    headers: httpx.Headers


@dataclass(frozen=True, slots=True)
class _Response:
    status_code: int
    headers: httpx.Headers
    request: _Message


class AtmHost:
    """One host, one of its terminals, one live key. A bank's or an agency's own system signs the
    same way, without a terminal and with a `tag` of its own.

    `key` is the host's Ed25519 private key or the shared HMAC secret. `authority` is the wallet's
    name where it differs from the address that is dialled. `clock_wrong_by` shifts the host's time.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        keyid: str,
        key: Ed25519PrivateKey | bytes,
        terminal: str,
        wallet_key: bytes | None = None,
        authority: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock_wrong_by: timedelta = timedelta(0),
        attempts: int = 4,
        pause_s: float = 0.2,
        tag: str = "smartid-atm",
    ) -> None:
        self._client = client
        self._tag = tag
        self.keyid = keyid
        self.key = key
        self.terminal = terminal
        self._wallet_key = wallet_key
        self._authority = authority
        self._clock = clock
        self.clock_wrong_by = clock_wrong_by
        self.lose_answers = 0
        """So many of the next answers are thrown away, as if the line had been cut."""
        self._attempts = attempts
        self._pause_s = pause_s

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> AtmAnswer:
        """Ask for something, again and again under one Idempotency-Key until there is an answer."""
        return await self._ask("POST", path, json.dumps(body).encode(), key)

    async def get(self, path: str, *, key: str | None = None) -> AtmAnswer:
        """Read something; the signature demands a key here too."""
        return await self._ask("GET", path, b"", key or secrets.token_hex(16))

    def signed(self, method: str, path: str, body: bytes, *, key: str) -> httpx.Request:
        """One signed request, ready to be sent, kept or tampered with."""
        request = self._client.build_request(
            method,
            path,
            content=body or None,
            headers=self._named(key),
        )
        if body:
            request.headers["content-type"] = "application/json"
        self.sign(request, body)
        return request

    def sign(self, request: httpx.Request, body: bytes | None, **changed: Any) -> None:
        """Sign `request` as it stands, without a digest where `body` is None; `changed` overrides
        what the signature says of itself."""
        request.headers.pop("content-digest", None)
        if self._authority is not None:
            request.headers["host"] = self._authority
        created = self._clock() + self.clock_wrong_by
        said: dict[str, Any] = {
            "key_id": self.keyid,
            "created": created,
            "expires": created + timedelta(seconds=LIFE_S),
            "nonce": secrets.token_urlsafe(18),
            "label": "atm",
            "tag": self._tag,
            "include_alg": False,
            "covered_component_ids": COVERED if self.terminal else COVERED[:-1],
        }
        signer = HTTPMessageSigner(
            signature_algorithm=_algorithm(self.key),
            key_resolver=MappingKeyResolver(
                public_keys={}, private_keys={str(changed.get("key_id", self.keyid)): self.key}
            ),
        )
        signer.sign(self._seen(request), body=body, **(said | changed))

    async def send(self, request: httpx.Request) -> AtmAnswer:
        """Send a signed request once. Raises AnswerForgedError, httpx.TransportError."""
        response = await self._client.send(request)
        if self.lose_answers > 0:
            self.lose_answers -= 1
            raise httpx.ReadTimeout("the answer was lost on the way", request=request)
        self._believe(request, response)
        return AtmAnswer(response.status_code, response.json() if response.content else None)

    async def _ask(self, method: str, path: str, body: bytes, key: str) -> AtmAnswer:
        answer: AtmAnswer | None = None
        for attempt in range(self._attempts):
            if attempt:
                await asyncio.sleep(self._pause_s * attempt)
            try:
                answer = await self.send(self.signed(method, path, body, key=key))
            except httpx.TransportError:
                continue
            retryable = answer.status in RETRIED and (answer.body or {}).get("retryable", False)
            if not retryable:
                return answer
        if answer is None:
            raise NoAnswerError(f"{method} {path}")
        return answer

    def _named(self, key: str) -> dict[str, str]:
        terminal = {"x-terminal-id": self.terminal} if self.terminal else {}
        return {"idempotency-key": key, **terminal}

    def _seen(self, request: httpx.Request) -> _Message:
        authority = self._authority or request.url.netloc.decode("ascii")
        url = f"https://{authority}{request.url.raw_path.decode('ascii')}"
        return _Message(request.method, url, request.headers)

    def _believe(self, request: httpx.Request, response: httpx.Response) -> None:
        if self._wallet_key is None:
            return
        public = Ed25519PublicKey.from_public_bytes(self._wallet_key)
        verifier = _TimelessVerifier(
            signature_algorithm=algorithms.ED25519,
            key_resolver=MappingKeyResolver(public_keys={"smartid-1": public}, private_keys={}),
        )
        seen = _Response(response.status_code, response.headers, self._seen(request))
        try:
            verifier.verify(
                seen,
                max_age=None,
                expect_tag="smartid-answer",
                require_components=('"@status"', '"content-digest"', '"signature";req'),
                body=response.content,
            )
        except (InvalidSignature, HTTPMessageSignaturesException) as error:
            raise AnswerForgedError(str(error)) from error


class _TimelessVerifier(HTTPMessageVerifier):
    """An answer is as fresh as the request whose signature it covers."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Nothing to check: see the class."""


def _algorithm(key: Ed25519PrivateKey | bytes) -> type[HTTPSignatureAlgorithm]:
    return algorithms.HMAC_SHA256 if isinstance(key, bytes) else algorithms.ED25519

"""Our answers to machines are signed (RFC 9421), refusals included.

Promise: an answer's signature covers its status, its body and the signature of the request it
answers, so that it cannot be kept and shown for another. Who calls: the doors of machines.
"""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from wallet.access import machines
from wallet.access.machines import AnswerKey

ANSWER_TAG: Final = "smartid-answer"


class _Asked(NamedTuple):
    """Of a request, what its answer's signature covers."""

    method: str
    headers: dict[str, str]
    url: str = "https://wallet.invalid/"
    """Not covered; the library only wants one."""


class _Answer(NamedTuple):
    status_code: int
    headers: dict[str, str]
    request: _Asked


class AnswerSigning:
    """Holds an answer back until it is whole, then signs it with the key machines know."""

    unsigned_too = True
    """Whether a request that carries no signature is answered signed all the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not (self.unsigned_too or _is_signed(scope)):
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


class AnswerSigningWhereAsked(AnswerSigning):
    """At a door of people and machines: what a machine signed is answered signed."""

    unsigned_too = False


def _is_signed(scope: Scope) -> bool:
    return any(name == b"signature-input" for name, _ in scope["headers"])


def _signed(
    scope: Scope, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> list[tuple[bytes, bytes]]:
    resources = scope["litestar_app"].state.resources
    theirs = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    asked = _Asked(str(scope.get("method", "")).upper(), theirs)
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    answer = _Answer(status, fields, asked)
    sign_answer(answer, body, machines.answer_key(resources.vault), resources.clock.now())
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]


def sign_answer(answer: _Answer, body: bytes, key: AnswerKey, now: datetime) -> None:
    """Add Content-Digest and our signature to the answer's headers."""
    covered = ['"@status"', '"content-type"'] if "content-type" in answer.headers else ['"@status"']
    theirs = answer.request.headers.get("signature", "")
    if theirs and theirs.isascii() and theirs.isprintable():
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

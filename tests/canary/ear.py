"""Hears every request and answer of a day and learns, by the contract's field names, which of their
values are secret; keeps every answer, without the values of those fields: what is secret is to
stand nowhere else in it."""

import base64
import json
import re
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.canary.spelling import CHECK_VALUE, Place, Secrets
from tests.desk import COOKIE

_KINDS: Final = {
    "pin": "PIN",
    "passphrase": "passphrase",
    "totp": "time code",
    "ticket": "passkey ticket",
    "secret": "pairing secret",
    "csrf_token": "csrf token",
    "cvv": CHECK_VALUE,
    "smart_id_number": "card number",
    "number": "card number",
    "phone": "telephone number",
    "address": "push address",
    "reference": "claim reference",
}
TOPPED_UP: Final = "+85510827364"
TOPPED_UP_KIND: Final = "number topped up"
"""A telephone number that airtime was bought for, which is not known to be anybody's."""

_OF_LENGTH: Final = {6: "time code", 8: "sent code", 10: "recovery code"}
_DIGITS: Final = re.compile(r"[0-9]+")
_SHAPES: Final = {
    "card number": re.compile(r"[0-9]{12,19}"),
    "time code": _DIGITS,
    "sent code": _DIGITS,
    "recovery code": _DIGITS,
    "telephone number": re.compile(r"[+0-9 ]{8,}"),
    "claim reference": re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}"),
}
"""Beside what is masked or misshapen, which is no secret."""


class Ear:
    """Hooks for a client."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self.statuses: list[int] = []
        self._problems: list[bytes] = []
        self._answers: list[bytes] = []

    def on(self, client: httpx.AsyncClient) -> httpx.AsyncClient:
        client.event_hooks = {"request": [self._asked], "response": [self._answered]}
        return client

    def places(self) -> list[Place]:
        return [
            Place("answers that say no", b"\n".join(self._problems)),
            Place("answers", b"\n".join(self._answers)),
        ]

    async def _asked(self, request: httpx.Request) -> None:
        bearer = request.headers.get("authorization", "").partition("Bearer ")[2]
        cookie = re.search(rf"{COOKIE}=([^;]+)", request.headers.get("cookie", ""))
        for kind, value in (
            ("session token", bearer),
            ("staff session", cookie[1] if cookie else ""),
            ("csrf token", request.headers.get("x-csrf-token", "")),
            ("pairing secret", request.headers.get("pairing-secret", "")),
        ):
            if value:
                self._secrets.learn(kind, value)
        self._walk(_parsed(request.content))

    async def _answered(self, response: httpx.Response) -> None:
        content = await response.aread()
        self.statuses.append(response.status_code)
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            self._problems.append(content)
        else:
            rest = self._walk(_parsed(content))
            self._answers.append(json.dumps(rest, ensure_ascii=False).encode())

    def _walk(self, value: Any) -> Any:
        """The same without what is heard to be secret."""
        if isinstance(value, dict):
            return {
                name: None if self._hear(name, one) else self._walk(one)
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [self._walk(one) for one in value]
        return value

    def _hear(self, name: str, value: Any) -> bool:
        """Whether this is secret; learns it if so."""
        if name == "recovery_codes":
            for code in value:
                self._secrets.learn("recovery code", code)
            return True
        if not isinstance(value, str) or not value:
            return False
        kind = _KINDS.get(name)
        if name == "otp" and len(value) in _OF_LENGTH:
            kind = _OF_LENGTH[len(value)]
        elif name == "code" and re.fullmatch(r"[0-9]{8}", value):
            kind = "pairing code"
        elif name == "token" and len(value) > 20:
            kind = "session token"
        elif name == "otpauth_uri":
            [secret] = parse_qs(urlsplit(value).query)["secret"]
            learn_base32(self._secrets, secret)
            return True
        elif name == "qr_text" and "/claim/" in value:
            self._secrets.learn("claim link", value.rsplit("/", 1)[1])
            return True
        if kind is None or not _SHAPES.get(kind, _ANY).fullmatch(value):
            return False
        learn_number(self._secrets, kind, value)
        return True


_ANY: Final = re.compile(r".+", re.DOTALL)


def learn_base32(secrets: Secrets, secret: str) -> None:
    """An authenticator's secret: as it is written, and the bytes it stands for."""
    secrets.learn("authenticator secret", secret)
    secrets.learn("authenticator secret", base64.b32decode(secret))


def learn_number(secrets: Secrets, kind: str, value: str) -> None:
    """A telephone number is as good with the country's code as with the leading nought."""
    if kind != "telephone number":
        secrets.learn(kind, value)
        return
    digits = re.sub(r"[^0-9]", "", value).removeprefix("855").removeprefix("0")
    if TOPPED_UP.endswith(digits):
        kind = TOPPED_UP_KIND
    for written in (f"855{digits}", f"0{digits}"):
        secrets.learn(kind, written)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None

"""The holder's phone: the app as a client of the public API, with a key of its own.

Promise: does what an honest app does: shows before it signs, lays the signed bytes out itself,
keeps its key and settings in a file so that it is the same phone after a kill. Nothing here knows
the inside of the wallet. Callers: the demo, the tests.
"""

import asyncio
import json
import os
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from simulators.phone_keys import Authenticator, DeviceKey, canonical_of, laid_out, unbase64url

API: Final = "/v1/mobile"
SMS_PATIENCE_S: Final = 15.0
_SENT_CODE: Final = re.compile(r"[0-9]{8}")


class PhoneError(Exception):
    """The API said no: `code` is its stable code, `problem` the whole document."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", ""))
        super().__init__(f"{status} {self.code}")


class Phone:
    """One phone. `file` keeps what it must remember; `now` is what its code app goes by."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        file: Path | None = None,
        number: str | None = None,
        sms_gateway: str | None = None,
        push_gateway: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._file = file
        self._now = now
        self._number = number
        self._sms_gateway = sms_gateway
        self._push_gateway = push_gateway
        self._push_address: str | None = None
        self._last_step = 0
        self._token: str | None = None
        self.key = DeviceKey.fresh()
        self.holder_id: str | None = None
        self.device_id: str | None = None
        self.pin: str | None = None
        self.authenticator: Authenticator | None = None
        self._unconfirmed: str | None = None
        """The uri of an authenticator that was scanned, whose first code is still to be given."""
        self._pairing: dict[str, str] = {}
        if file is not None and file.exists():
            self._recall(json.loads(file.read_text("utf-8")))
        self.remember()

    # remembering

    def remember(self) -> None:
        """Write the phone down, whole or not at all."""
        if self._file is None:
            return
        kept = {
            "key": self.key.pem(),
            "holder_id": self.holder_id,
            "device_id": self.device_id,
            "pin": self.pin,
            "otpauth_uri": None if self.authenticator is None else self.authenticator.uri,
            "unconfirmed": self._unconfirmed,
            "last_step": self._last_step,
            "pairing": self._pairing,
            "push_address": self._push_address,
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(kept, out)
        beside.replace(self._file)

    def _recall(self, kept: dict[str, Any]) -> None:
        self.key = DeviceKey.from_pem(kept["key"])
        self.holder_id = kept["holder_id"]
        self.device_id = kept["device_id"]
        self.pin = kept["pin"]
        uri = kept["otpauth_uri"]
        self.authenticator = None if uri is None else Authenticator(uri)
        self._unconfirmed = kept["unconfirmed"]
        self._last_step = kept["last_step"]
        self._pairing = kept["pairing"]
        self._push_address = kept.get("push_address")

    # pairing and signing in

    async def begin_pairing(self) -> str:
        """The code to enter at the ATM or to tell the clerk."""
        begun = await self.call("POST", "/pairings", {"public_key": self.key.public})
        self._pairing = {name: begun[name] for name in ("pairing_id", "code", "secret")}
        self.remember()
        return str(begun["code"])

    async def pairing(self) -> dict[str, Any]:
        """How far the pairing is, and the code it goes by."""
        shown: dict[str, Any] = await self.call(
            "GET", f"/pairings/{self._pairing['pairing_id']}", headers=self._pairing_headers()
        )
        return {"code": self._pairing["code"], **shown}

    @property
    def is_pairing(self) -> bool:
        """Whether a pairing was begun, in this life or an earlier one."""
        return bool(self._pairing)

    async def complete_pairing(self, pin: str) -> dict[str, Any]:
        """Prove the key and set the PIN; the phone is then the holder's. The proof is kept before
        it is sent, so that asking again, even after a kill, is a repeat."""
        pairing_id = self._pairing["pairing_id"]
        if "signature" not in self._pairing:
            nonce = unbase64url((await self.pairing())["nonce"])
            proof = self.key.sign(laid_out("cswallet.pair.v1", pairing_id, nonce))
            self._pairing["signature"] = proof
            self.remember()
        paired: dict[str, Any] = await self.call(
            "POST",
            f"/pairings/{pairing_id}/complete",
            {"pin": pin, "signature": self._pairing["signature"]},
            headers=self._pairing_headers(),
            key=f"complete:{pairing_id}",
        )
        self.device_id, self.holder_id, self.pin = paired["device_id"], paired["holder_id"], pin
        self.remember()
        return paired

    def _pairing_headers(self) -> dict[str, str]:
        return {"pairing-secret": self._pairing["secret"]}

    async def sign_in(self, pin: str | None = None) -> dict[str, Any]:
        """Open a session with the key and the PIN."""
        asked = await self.call("POST", "/login-challenges", {"device_id": self.device_id})
        nonce, host = unbase64url(asked["challenge"]), asked["host"]
        message = laid_out("cswallet.login.v1", nonce, str(self.device_id), host)
        opened: dict[str, Any] = await self.call(
            "POST",
            "/sessions",
            {
                "device_id": self.device_id,
                "challenge": asked["challenge"],
                "signature": self.key.sign(message),
                "pin": pin or self.pin,
            },
        )
        self._token = opened["token"]
        return opened

    async def sign_out(self) -> None:
        await self.call("DELETE", "/sessions/current")
        self._token = None

    # intents

    async def prepare(self, kind: str, **fields: Any) -> dict[str, Any]:
        """What the server says will happen."""
        shown: dict[str, Any] = await self.call(
            "POST", "/intents", {"kind": kind, "fields": fields}
        )
        return shown

    async def authorise(
        self, shown: dict[str, Any], otp: str | None = None, *, coded: bool = True
    ) -> dict[str, Any]:
        """Sign what was shown; with this code, or one of the phone's own where one is needed.

        Not `coded`, it only asks again for the answer of an intent that is over: the stored one,
        or, once that can no longer change, that it expired.
        """
        canonical = canonical_of(shown, str(self.holder_id), str(self.device_id))
        if coded and otp is None and shown["needs"]["otp"] == "required":
            otp = await self._code_for(shown)
        factors = {"signature": self.key.sign(canonical), "kind": shown["kind"]}
        if otp is not None:
            factors["otp"] = otp
        done = await self.call("POST", f"/intents/{shown['id']}/authorise", factors)
        answer: dict[str, Any] = done["answer"]
        return answer

    async def do(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Prepare and authorise in one go, as a holder who reads and agrees."""
        return await self.authorise(await self.prepare(kind, **fields))

    async def enrol_authenticator(self) -> Authenticator:
        """Scan the QR code the server shows, and confirm with the first code."""
        await self.scan_authenticator()
        return await self.confirm_authenticator()

    async def scan_authenticator(self) -> None:
        """Take the secret in. Asked again, the server makes another and forgets the first."""
        enrolled = await self.do("totp.enrol")
        self._unconfirmed = str(enrolled["otpauth_uri"])
        self.remember()

    async def confirm_authenticator(self) -> Authenticator:
        """Give the first code of what was scanned; from then on it is this phone's."""
        authenticator = Authenticator(str(self._unconfirmed))
        shown = await self.prepare("totp.confirm")
        now = self._now()
        try:
            await self.authorise(shown, authenticator.code(now))
        except PhoneError as no:
            # None waits to be confirmed: the answer that said so was lost.
            if no.code != "otp_not_enrolled":
                raise
        self.authenticator, self._unconfirmed = authenticator, None
        self._last_step = authenticator.step(now)
        self.remember()
        return authenticator

    @property
    def has_scanned(self) -> bool:
        """Whether an authenticator waits for its first code."""
        return self._unconfirmed is not None

    @property
    def is_reachable(self) -> bool:
        """Whether codes may come by push."""
        return self._push_address is not None

    async def reach_by_push(self) -> None:
        """Take an address from the phone's platform and give it to the wallet."""
        asked = {"installation": self.key.public}
        async with httpx.AsyncClient(base_url=str(self._push_gateway)) as gateway:
            address = (await gateway.post("/addresses", json=asked)).json()["address"]
        await self.call("PUT", "/push-address", {"address": address})
        self._push_address = address
        self.remember()

    async def ask_code(self, intent_id: str) -> str:
        """Have a code sent, and read it off what comes in: pushed to this phone, or by SMS."""
        if self._sms_gateway is None:
            raise PhoneError(0, {"code": "no_sms_gateway"})
        seen = len(await self._messages()), len(await self._pushes())
        await self.call("POST", f"/intents/{intent_id}/code")
        return await self._read_code(*seen)

    async def _code_for(self, shown: dict[str, Any]) -> str:
        methods = shown["needs"]["otp_methods"]
        if self.authenticator is not None and "totp" in methods:
            # a code is good once: within the same half minute the other way is taken, or a wait
            ahead = self._last_step + 1 - self.authenticator.step(self._now())
            if ahead > 0 and self._sms_gateway is None:
                await asyncio.sleep(
                    self.authenticator.seconds_until(self._last_step + 1, self._now())
                )
                ahead = 0
            if ahead <= 0:
                return self._own_code()
        return await self.ask_code(shown["id"])

    def _own_code(self) -> str:
        assert self.authenticator is not None  # noqa: S101 - the caller looked
        now = self._now()
        self._last_step = self.authenticator.step(now)
        self.remember()
        return self.authenticator.code(now)

    async def _read_code(self, texts_seen: int, pushes_seen: int) -> str:
        for _ in range(round(SMS_PATIENCE_S * 10)):
            pushed = (await self._pushes())[pushes_seen:]
            texts = [str(self.key.decrypt(one["sealed"])["text"]) for one in pushed]
            texts += [one["text"] for one in (await self._messages())[texts_seen:]]
            found = _SENT_CODE.match(texts[-1]) if texts else None
            if found is not None:
                return found.group()
            await asyncio.sleep(0.1)
        raise PhoneError(0, {"code": "no_sms_came"})

    async def _pushes(self) -> list[dict[str, Any]]:
        if self._push_address is None:
            return []
        async with httpx.AsyncClient(base_url=str(self._push_gateway)) as gateway:
            answer = await gateway.get("/pushes", params={"to": self._push_address})
            pushes: list[dict[str, Any]] = answer.json()["pushes"]
            return pushes

    async def _messages(self) -> list[dict[str, Any]]:
        async with httpx.AsyncClient(base_url=str(self._sms_gateway)) as gateway:
            answer = await gateway.get("/messages", params={"to": str(self._number)})
            messages: list[dict[str, Any]] = answer.json()["messages"]
            return messages

    # the rest of the app

    async def get(self, path: str, **query: Any) -> Any:
        return await self.call("GET", path, query=query)

    async def post(self, path: str, body: dict[str, Any], *, key: str | None = None) -> Any:
        return await self.call("POST", path, body, key=key)

    async def stream(self) -> AsyncIterator[dict[str, Any]]:
        """The live stream: one dict an event, with `event`, `id` and `data`."""
        async with self._client.stream(
            "GET", f"{API}/stream", headers=self._headers(None), timeout=None
        ) as answer:
            await _check(answer)
            event: dict[str, Any] = {}
            async for line in answer.aiter_lines():
                if not line:
                    # Without data it only names the place, as the standard has it.
                    if "data" in event:
                        yield event
                    event = {}
                name, colon, value = line.partition(":")
                if colon and name:
                    event[name] = json.loads(value) if name == "data" else value.strip()

    async def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> Any:
        """One request of the app; a problem document is raised as PhoneError."""
        answer = await self._client.request(
            method,
            API + path,
            json=body,
            params=query,
            headers=self._headers(key) | (headers or {}),
        )
        await _check(answer)
        return answer.json() if answer.content else None

    def _headers(self, key: str | None) -> dict[str, str]:
        headers = {"idempotency-key": key or str(uuid.uuid4())}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        return headers


async def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    await answer.aread()
    try:
        problem = answer.json()
    except ValueError:
        problem = {"code": "", "text": answer.text}
    raise PhoneError(answer.status_code, problem)


Confirm = Callable[[str], Awaitable[None]]
"""Enters a pairing code somewhere: an ATM, a branch."""


async def enrol(phone: Phone, pin: str, confirm: Confirm) -> None:
    """The whole enrolment: pair, set the PIN, sign in, set up the code app."""
    await confirm(await phone.begin_pairing())
    await phone.complete_pairing(pin)
    await phone.sign_in()
    await phone.enrol_authenticator()

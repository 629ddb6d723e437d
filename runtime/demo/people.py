"""Who plays in the demo, each through the public API alone.

Promise: a server that is away for a moment is asked again, with the same id or key, until
`PATIENCE_S`; any other "no" ends the story with its code. Who calls: story, main.
"""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime import demo_staff
from runtime.cambodia import Person
from runtime.demo.memory import Memory
from simulators.atm import AtmHost, NoAnswerError
from simulators.officer import STEP_S, Officer, OfficerError
from simulators.phone import Phone, PhoneError
from wallet.registry.enrolment import smart_id_number

T = TypeVar("T")
PATIENCE_S: Final = 60.0
PIN: Final = "274916"
_AWAY: Final = frozenset({409, 429, 500, 502, 503, 504})


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: lost connections and "try again" are waited out."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await ask()
        except (PhoneError, OfficerError) as no:
            retryable = no.status in _AWAY and no.problem.get("retryable", False)
            if not retryable or time.monotonic() > ends:
                raise
        except (httpx.TransportError, NoAnswerError):
            if time.monotonic() > ends:
                raise
        await asyncio.sleep(0.3)


class Holder:
    """A civil servant with a phone: does intents once, however often it is killed between."""

    def __init__(
        self, client: httpx.AsyncClient, person: Person, data: Path, memory: Memory, sms_url: str
    ) -> None:
        self.person = person
        self.smart_id_number = smart_id_number(person.bank, person.place + 1)
        self._memory = memory
        self.phone = Phone(
            client,
            file=data / f"demo-phone-{person.place}.json",
            number=person.phone,
            sms_gateway=sms_url,
        )

    async def enrol(self, host: AtmHost, say: Callable[[str], None]) -> None:
        """Pair the phone at the ATM, set the PIN, set up the authenticator; what is done stays."""
        phone = self.phone
        if phone.device_id is None:
            code = await patiently(phone.begin_pairing)
            say(f"the app shows pairing code {code[:4]} {code[4:]}; card and PIN at the ATM")
            key = self._memory.key(f"pair:{code}")
            body = {"smart_id_number": self.smart_id_number, "code": code}
            answer = await patiently(lambda: host.post("/v1/atm/pairings/confirm", body, key=key))
            if answer.status != 200:
                raise OfficerError(answer.status, answer.body or {})
            await patiently(lambda: phone.complete_pairing(PIN))
        await self.sign_in()
        if phone.authenticator is None:
            await patiently(phone.enrol_authenticator)
            say("authenticator set up from the QR image and confirmed by its first code")

    async def sign_in(self) -> None:
        await patiently(self.phone.sign_in)

    async def do(self, step: str, kind: str, **fields: Any) -> dict[str, Any]:
        """One intent, once: its id is kept before it is authorised, its answer after."""
        done: dict[str, Any] | None = self._memory.recall(f"answer:{step}")
        if done is not None:
            return done
        shown = await self._shown(step, kind, fields)
        answer = await self._authorise(shown)
        shown_once = ("jwe", "otpauth_uri", "qr_png", "qr_svg")
        self._memory.remember(
            f"answer:{step}", {k: v for k, v in answer.items() if k not in shown_once}
        )
        return answer

    async def text_of(self, step: str) -> str:
        """What the server said would happen."""
        shown: dict[str, Any] = self._memory.recall(f"shown:{step}")
        return str(shown["text"]["en"])

    async def _shown(self, step: str, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] | None = self._memory.recall(f"shown:{step}")
        if kept is not None:
            now = await self._ask(lambda: self.phone.get(f"/intents/{kept['id']}"))
            if now["state"] in ("PENDING", "DONE"):
                return kept
        fresh: dict[str, Any] = await self._ask(lambda: self.phone.prepare(kind, **fields))
        self._memory.remember(f"shown:{step}", fresh)
        return fresh

    async def _authorise(self, shown: dict[str, Any]) -> dict[str, Any]:
        while True:
            try:
                return await self._ask(lambda: self.phone.authorise(shown))
            except PhoneError as no:
                if no.code != "rate_limited":
                    raise
            # No more texts for now: the authenticator's next code is at most half a minute away.
            await asyncio.sleep(STEP_S - time.time() % STEP_S + 0.2)

    async def read(self, path: str, **query: Any) -> Any:
        return await self._ask(lambda: self.phone.get(path, **query))

    async def post(self, step: str, path: str, body: dict[str, Any]) -> Any:
        key = self._memory.key(step)
        return await self._ask(lambda: self.phone.post(path, body, key=key))

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await patiently(ask)
        except PhoneError as no:
            if no.status != 401:
                raise
        await self.sign_in()
        return await patiently(ask)


class Listener:
    """The holder's live stream, read beside the story; opened anew whenever it breaks."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        self.heard: list[dict[str, Any]] = []
        self._task = asyncio.create_task(self._listen())

    async def hear(self, kind: str, within_s: float = 20.0) -> dict[str, Any] | None:
        """The first notice of a kind, waited for; None when it did not come."""
        ends = time.monotonic() + within_s
        while time.monotonic() < ends:
            for notice in self.heard:
                if notice["kind"] == kind:
                    return notice
            await asyncio.sleep(0.05)
        return None

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            with suppress(PhoneError, httpx.TransportError):
                async for event in self._holder.phone.stream():
                    if isinstance(event.get("data"), dict):
                        self.heard.append(event["data"])
            await asyncio.sleep(0.5)


def officer(client: httpx.AsyncClient, data: Path, login: str) -> Officer:
    """A seeded member of staff, by login."""
    found = next(one for one in demo_staff.logins(data) if one.login == login)
    door = {"agency_officer": "agency", "bank_clerk": "bank", "support": "support"}
    return Officer(
        client,
        door=door[found.door.value],
        login=login,
        passphrase=found.passphrase,
        totp_secret=found.totp_secret,
        used=data / "demo-codes-used.json",
    )


def atm_host(client: httpx.AsyncClient, data: Path, bank: str, authority: str) -> AtmHost:
    """A bank's ATM host at its first terminal."""
    found = next(one for one in demo_staff.atm_keys(data) if one.bank == bank)
    raw = base64.urlsafe_b64decode(found.private_key + "=" * (-len(found.private_key) % 4))
    return AtmHost(
        client,
        keyid=found.keyid,
        key=Ed25519PrivateKey.from_private_bytes(raw),
        terminal=found.terminals[0].id,
        authority=authority,
        attempts=20,
        pause_s=0.3,
    )

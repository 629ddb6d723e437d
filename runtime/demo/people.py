"""Who plays in the demo, each through the public API alone.

Promise: a server that is away for a moment is asked again, with the same id or key, until
`PATIENCE_S`; any other "no" ends the story with its code. Who calls: story, main.
"""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime import demo_staff, seed
from runtime.cambodia import Person
from runtime.demo.memory import Memory
from simulators.atm import AtmHost, NoAnswerError
from simulators.officer import STEP_S, Officer, OfficerError
from simulators.passkey import Authenticator
from simulators.phone import Phone, PhoneError
from wallet.database import CONNECTION_LOST
from wallet.identifiers import BankId
from wallet.outcomes import Refused
from wallet.registry.enrolment import smart_id_number

T = TypeVar("T")
BANK: Final = BankId("ACLEDA")
PATIENCE_S: Final = 60.0
PIN: Final = "274916"
TRIES: Final = 3
_AWAY: Final = frozenset({409, 429, 500, 502, 503, 504})
_LOOK_AGAIN: Final = frozenset(
    {"intent_expired", "intent_not_pending", "rate_limited", "no_sms_came", "otp_wrong"}
)
"""What an intent still open for us may be told, and then be tried with another code or be over."""


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: lost connections and "try again" are waited out. Where the
    demo asks the rooms themselves, their words for the same are heard too."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await ask()
        except (PhoneError, OfficerError) as no:
            retryable = no.status in _AWAY and no.problem.get("retryable", False)
            if not retryable or time.monotonic() > ends:
                raise
        except Refused as no:
            if not no.reason.retryable or time.monotonic() > ends:
                raise
        except (httpx.TransportError, NoAnswerError, *CONNECTION_LOST):
            if time.monotonic() > ends:
                raise
        await asyncio.sleep(0.3)


class Holder:
    """A civil servant with a phone: does intents once, however often it is killed between."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        person: Person,
        data: Path,
        memory: Memory,
        sms_url: str,
        push_url: str,
    ) -> None:
        self.person = person
        self.smart_id_number = smart_id_number(person.bank, person.place + 1)
        self._memory = memory
        self.phone = Phone(
            client,
            file=data / f"demo-phone-{person.place}.json",
            number=person.phone,
            sms_gateway=sms_url,
            push_gateway=push_url,
        )

    async def enrol(self, host: AtmHost, say: Callable[[str], None]) -> None:
        """Pair the phone at the ATM, set the PIN, set up the authenticator; what is done stays."""
        phone = self.phone
        while phone.device_id is None:
            await self._pair(host, say)
        await self.sign_in()
        if phone.authenticator is None:
            await self._set_up_authenticator()
            say("authenticator set up from the QR image and confirmed by its first code")
        if not phone.is_reachable:
            await self._ask(phone.reach_by_push)
            say("the phone gave its push address: codes come sealed to its key, else by SMS")

    async def _pair(self, host: AtmHost, say: Callable[[str], None]) -> None:
        """One pairing, gone on with where it stands."""
        phone = self.phone
        if not phone.is_pairing or (await patiently(phone.pairing))["state"] == "EXPIRED":
            await patiently(phone.begin_pairing)
        pairing = await patiently(phone.pairing)
        if pairing["state"] == "WAITING":
            code = pairing["code"]
            say(f"the app shows pairing code {code[:4]} {code[4:]}; card and PIN at the ATM")
            # the key is kept in clear, the code must not be
            key = self._memory.key(f"pair:{pairing['pairing_id']}")
            body = {"smart_id_number": self.smart_id_number, "pin_verified": True, "code": code}
            answer = await patiently(lambda: host.post("/v1/atm/pairings/confirm", body, key=key))
            if answer.status != 200:
                raise OfficerError(answer.status, answer.body or {})
        await patiently(lambda: phone.complete_pairing(PIN))

    async def _set_up_authenticator(self) -> None:
        """Scan and confirm; what was scanned in an earlier life is confirmed first."""
        phone = self.phone
        for tries_left in reversed(range(TRIES)):
            if not phone.has_scanned:
                await self._ask(phone.scan_authenticator)
            try:
                await self._ask(phone.confirm_authenticator)
            except PhoneError as no:
                # The server made another secret since: an answer was lost. Scan that one.
                if no.code != "otp_wrong" or not tries_left:
                    raise
                await self._ask(phone.scan_authenticator)
            else:
                return

    async def sign_in(self) -> None:
        await patiently(self.phone.sign_in)

    async def do(self, step: str, kind: str, **fields: Any) -> dict[str, Any]:
        """One intent, once: its id is kept before it is authorised, its answer after."""
        done: dict[str, Any] | None = self._memory.recall(f"answer:{step}")
        if done is not None:
            return done
        while True:
            shown = await self._shown(step, kind, fields)
            answer = await self._answer_of(shown)
            if answer is not None:
                break
            self._memory.forget(f"shown:{step}")
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
            return kept
        fresh: dict[str, Any] = await self._ask(lambda: self.phone.prepare(kind, **fields))
        self._memory.remember(f"shown:{step}", fresh)
        return fresh

    async def _answer_of(self, shown: dict[str, Any]) -> dict[str, Any] | None:
        """What authorising came to, now or before; None once it is certain that it never will.

        That an intent expired is believed of the server only when it was asked to authorise it
        and refused: a look alone may come while an earlier request is still taking effect.
        """
        for _ in range(20):
            state = (await self.read(f"/intents/{shown['id']}"))["state"]
            pending = state == "PENDING"
            try:
                return await self._ask(partial(self.phone.authorise, shown, coded=pending))
            except PhoneError as no:
                if no.code == "intent_expired" and not pending:
                    return None
                if no.code not in _LOOK_AGAIN or not pending:
                    raise
                if no.code in ("rate_limited", "otp_wrong"):
                    # The authenticator's next code is at most half a minute away.
                    await asyncio.sleep(STEP_S - time.time() % STEP_S + 0.2)
        raise PhoneError(0, {"code": "never_authorised"})

    async def read(self, path: str, **query: Any) -> Any:
        return await self._ask(lambda: self.phone.get(path, **query))

    async def post(self, step: str, path: str, body: dict[str, Any]) -> Any:
        key = self._memory.key(step)
        return await self._ask(lambda: self.phone.post(path, body, key=key))

    async def prepare(self, kind: str, **fields: Any) -> dict[str, Any]:
        """What the server says of a wish, which is not gone on with."""
        return await self._ask(lambda: self.phone.prepare(kind, **fields))

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await patiently(ask)
        except PhoneError as no:
            if no.status != 401:
                raise
        await self.sign_in()
        return await patiently(ask)


class StoryError(Exception):
    """Something in the story was not as it should be."""


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


def player_of(day: int) -> Person:
    """Whose day it is: another person's each time, for what one may ask of an ATM in a day is
    limited."""
    everybody = seed.people_with_cards(BANK)
    return everybody[day % len(everybody)]


async def sign_in(officer: Officer) -> None:
    """Sign a member of staff in; a code that grew old on its way is followed by a fresh one."""
    for tries_left in reversed(range(TRIES)):
        try:
            await patiently(officer.sign_in)
        except OfficerError as no:
            if no.code != "sign_in_failed" or not tries_left:
                raise
        else:
            return


async def approve(officer: Officer, path: str, body: dict[str, Any], key: str) -> Any:
    """Approve with a fresh code, once; None when it was approved before a kill that ate the
    answer."""
    for tries_left in reversed(range(TRIES)):
        code = await officer.fresh_code()
        ask = partial(officer.call, "POST", path, {"totp": code, **body}, key=f"{key}:{code}")
        try:
            return await patiently(ask)
        except OfficerError as no:
            if no.code == "illegal_transition":
                return None
            if no.code != "otp_wrong" or not tries_left:
                raise
    return None


def officer(client: httpx.AsyncClient, data: Path, login: str, host: str) -> Officer:
    """A seeded member of staff, by login; `host`: whose pages their passkey is for."""
    found = next(one for one in demo_staff.logins(data) if one.login == login)
    door = {"agency_officer": "agency", "bank_clerk": "bank"}
    return Officer(
        client,
        door=door.get(found.door.value, found.door.value),
        login=login,
        passphrase=found.passphrase,
        totp_secret=found.totp_secret,
        used=data / "demo-codes-used.json",
        passkey=None
        if found.passkey is None
        else Authenticator(host, private_key=int(found.passkey, 16)),
        ticket=found.passkey_ticket,
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

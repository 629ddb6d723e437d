"""The offices of a simulated day: two officers with a salary file, an agent who gives money back.

Both ask again under the same key until they are told; their sessions are opened anew whenever the
door does not know them any more.
"""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx

from tests.desk import COOKIE, PASSPHRASE, Desk
from tests.simulation.model import Effects, Model
from tests.simulation.people import Person
from tests.wallet.salary.payroll import Line, file_of
from wallet.clock import TurnedClock

TRIES: Final = 40
AGAIN: Final = (409, 429, 503)


class Staff:
    """Members of staff at their doors, on the same line as everybody."""

    def __init__(self, client: httpx.AsyncClient, desk: Desk, clock: TurnedClock) -> None:
        self._client = client
        self._desk = desk
        self._clock = clock
        self._sessions: dict[str, dict[str, str]] = {}
        self._latest = clock.now()

    def code(self) -> str:
        """A code that was never given before: time goes on past the last one's half minute."""
        self._latest = max(self._latest, self._clock.now()) + timedelta(seconds=31)
        self._clock.advance(self._latest - self._clock.now())
        return self._desk.code()

    async def ask(
        self, login: str, door: str, method: str, path: str, key: str, **sent: Any
    ) -> httpx.Response:
        """One answer that is an answer; raises when there is none after many tries."""
        last: object = None
        for _ in range(TRIES):
            try:
                if login not in self._sessions and (no := await self._sign_in(login, door)):
                    last = no
                    continue
                headers = {
                    **self._sessions[login],
                    "idempotency-key": key,
                    **sent.get("headers", {}),
                }
                rest = {name: value for name, value in sent.items() if name != "headers"}
                answer = await self._client.request(
                    method, f"/v1/{door}{path}", headers=headers, **rest
                )
            except httpx.TransportError as nothing:
                last = nothing
                continue
            if answer.status_code == 401 or "step_up_required" in answer.text:
                self._sessions.pop(login, None)
            elif answer.status_code not in AGAIN or not answer.json().get("retryable"):
                return answer
            last = answer.text
        raise AssertionError(f"{login} {method} {path} was never answered: {last}")

    async def _sign_in(self, login: str, door: str) -> str | None:
        """None when it went well, else what was said."""
        answer = await self._client.post(
            f"/v1/{door}/sessions",
            json={"login": login, "passphrase": PASSPHRASE, "totp": self.code()},
        )
        if answer.status_code == 429:
            # Redis counts tries by its own clock, which nobody turns: this pause is a real one.
            await asyncio.sleep(float(answer.headers["retry-after"]))
            return answer.text
        if answer.status_code != 201:
            # The copy of a sign-in is a wrong try, and a few of those lock: they wait it out.
            self._latest += timedelta(minutes=5)
            return answer.text
        token = answer.cookies[COOKIE]
        if answer.json()["passkey_needed"]:
            token = (await self._desk.show_passkey(login, token)).token.reveal()
        self._sessions[login] = self._desk.headers(token)
        self._client.cookies.clear()  # several people share this client: each sends their own
        return None


@dataclass
class Payroll:
    """One agency's files, half month by half month, each as far as it has come."""

    staff: Staff
    model: Model
    people: Sequence[Person]
    runs: dict[str, tuple[str, Effects]] = field(default_factory=dict)
    """By run: its file's hash, and what it pays to whom."""

    async def send(self, half: int, riel: int) -> None:
        lines = [
            Line(holder=person.holder, amount=riel + place)
            for place, person in enumerate(self.people)
        ]
        data = file_of(lines, half=half)
        sent = await self.staff.ask(
            "maker.mcs", "agency", "POST", "/salary-files", f"file-{half}",
            content=data, headers={"content-type": "text/csv"},
        )  # fmt: skip
        assert sent.status_code == 202, sent.text
        told = sent.json()
        pays = {p.holder.khr: riel + place for place, p in enumerate(self.people)}
        self.runs[told["run_id"]] = (told["sha256"], pays)
        self.model.ask(told["run_id"], "salary", pays)

    async def approve_checked(self) -> None:
        for run_id, (sha256, _) in self.runs.items():
            if await self.state(run_id) != "CHECKED":
                continue
            answer = await self.staff.ask(
                "checker.mcs", "agency", "POST", f"/salary-files/{run_id}/approve",
                str(uuid.uuid4()), json={"totp": self.staff.code(), "sha256": sha256},
            )  # fmt: skip
            # A copy of it on the way may have been first, or have spent the code.
            assert answer.status_code in (200, 403, 409), answer.text

    async def state(self, run_id: str) -> str:
        answer = await self.staff.ask(
            "maker.mcs", "agency", "GET", f"/salary-files/{run_id}", str(uuid.uuid4())
        )
        return str(answer.json()["state"])

    async def note_paid(self) -> None:
        """What is paid counts as told; the rest stays open."""
        for run_id in self.runs:
            if await self.state(run_id) == "PAID":
                self.model.told(run_id, "done")


@dataclass
class Support:
    """A holder disputes a payment, an agent gives a part of it back at once."""

    staff: Staff
    model: Model

    async def give_back(self, person: Person, payment_id: str, riel: int) -> None:
        dispute = await self._dispute(person, payment_id)
        if dispute is None:
            return
        refund_id = f"refund-{payment_id}"
        self.model.ask(refund_id, "refund", {person.holder.khr: riel})
        answer = await self.staff.ask(
            "dara", "support", "POST", f"/disputes/{dispute}/refunds", refund_id,
            json={
                "amount": {"amount_minor": riel, "currency": "KHR"},
                "source": "COUNTERPARTY",
                "why": "The shop confirms it.",
            },
        )  # fmt: skip
        assert answer.status_code == 201, answer.text
        assert answer.json()["state"] == "PAID"
        self.model.told(refund_id, "done")

    async def _dispute(self, person: Person, payment_id: str) -> str | None:
        body = {
            "transaction_id": payment_id,
            "reason": "DUPLICATE_CHARGE",
            "statement": "Charged twice.",
        }
        for _ in range(6):
            try:
                opened = await person.phone.post("/disputes", body, key=f"case-{payment_id}")
            except httpx.TransportError:
                continue
            return str(opened["dispute_id"])
        return None

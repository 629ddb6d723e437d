"""A cash machine in front of a bank's ATM host: reader, keyboard, screen, printer, and its faults.

Promise: it keeps the protocol as a careful bank would. The bank checks the PIN (three wrong ones
keep the card); every request has its own RRN, STAN and the machine's own date; no answer in time,
a jammed printer or a customer who walks away is followed by a reversal that is sent until it is
answered; a slip that came out is confirmed. What was shown and printed can be read afterwards, and
the slip carries nothing secret. Who calls: demo, tests.
"""

import enum
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from simulators.atm import AtmAnswer, AtmHost, NoAnswerError

PHNOM_PENH: Final = timezone(timedelta(hours=7))
PIN_TRIES: Final = 3
HOTLINE: Final = "1800 20 20 20"


class Fault(enum.Enum):
    """What goes wrong next, once."""

    PRINTER_JAMS = "printer_failed"
    CUSTOMER_WALKS_AWAY = "customer_cancelled"
    DEVICE_FAILS = "device_failed"


@dataclass(slots=True)
class PlasticCard:
    """A Smart ID in somebody's hand. The bank knows its PIN; the machine forgets what is typed."""

    number: str
    pin: str
    tries_left: int = PIN_TRIES
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a card: how it ended for whoever stood there."""

    answer: AtmAnswer | None
    reversal: AtmAnswer | None
    reference: dict[str, str]
    key: str

    @property
    def card(self) -> dict[str, Any] | None:
        """The card that waits, when one was made and not taken back."""
        made = self.answer is not None and self.answer.status == 201
        return self.answer.body if made and self.answer and self.reversal is None else None


class CardKeptError(Exception):
    """Three wrong PINs: the machine has kept the card."""


@dataclass(slots=True)
class CashMachine:
    """One terminal. `host` is its bank's, `clock` its own; `faults` happen in their order."""

    host: AtmHost
    clock: Callable[[], datetime]
    clock_wrong_by: timedelta = timedelta(0)
    faults: list[Fault] = field(default_factory=list)
    screens: list[str] = field(default_factory=list)
    slips: list[str] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def virtual_card(
        self, card: PlasticCard, pin: str, *, phone: str | None = None, currency: str = "KHR"
    ) -> Visit:
        """Ask for a virtual card and see it through: slip and confirmation, or reversal.

        Raises CardKeptError.
        """
        number = next(self._numbers)
        reference = self._reference(number)
        key = f"{self.host.terminal}-{reference['rrn']}"
        body = {**self._read(card, pin), **reference, "currency": currency}
        if phone is not None:
            body["phone"] = phone
        try:
            answer = await self.host.post("/v1/atm/cards", body, key=key)
        except NoAnswerError:
            return Visit(None, await self._reverse(reference, "no_answer_in_time"), reference, key)
        self._show(answer)
        if answer.status != 201:
            return Visit(answer, None, reference, key)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            return Visit(answer, await self._reverse(reference, fault.value), reference, key)
        self._print(answer.body, reference)
        await self._until_answered("/v1/atm/cards/confirm", reference, f"{key}-printed")
        return Visit(answer, None, reference, key)

    async def retry(self, visit: Visit, card: PlasticCard, pin: str) -> AtmAnswer:
        """The same request once more, as a host does that has lost its notes."""
        body = {**self._read(card, pin), **visit.reference, "currency": "KHR"}
        return await self.host.post("/v1/atm/cards", body, key=visit.key)

    async def take_back(self, visit: Visit, cause: str = "other") -> AtmAnswer:
        """A reversal that comes late: from the bank's reconciliation, say."""
        return await self._reverse(visit.reference, cause)

    async def status(self, visit: Visit) -> AtmAnswer:
        """What became of a request, by its key."""
        return await self.host.get(f"/v1/atm/cards/{visit.key}")

    async def at_the_menu(self, path: str, card: PlasticCard, pin: str, **more: str) -> AtmAnswer:
        """Balance, entries, pairing, unlocking: asked, and shown. Raises CardKeptError."""
        body = {**self._read(card, pin), **more}
        key = f"{self.host.terminal}-menu-{next(self._numbers)}"
        answer = await self.host.post(f"/v1/atm/{path}", body, key=key)
        self._show(answer)
        return answer

    def _read(self, card: PlasticCard, pin: str) -> dict[str, Any]:
        """What the bank's host says of the card in the reader: the PIN itself stays behind."""
        if card.kept:
            raise CardKeptError
        right = card.pin == pin
        card.tries_left = PIN_TRIES if right else card.tries_left - 1
        if card.tries_left <= 0:
            card.kept = True
            raise CardKeptError
        return {"smart_id_number": card.number, "pin_verified": right}

    def _reference(self, number: int) -> dict[str, str]:
        here = (self.clock() + self.clock_wrong_by).astimezone(PHNOM_PENH)
        return {
            "rrn": f"{here:%y}{here.timetuple().tm_yday:03d}{number:07d}",
            "stan": f"{number % 1_000_000:06d}",
            "local_date": here.date().isoformat(),
        }

    async def _reverse(self, reference: dict[str, str], cause: str) -> AtmAnswer:
        key = f"{self.host.terminal}-{reference['rrn']}-back"
        return await self._until_answered(
            "/v1/atm/cards/reverse", {**reference, "cause": cause}, key
        )

    async def _until_answered(self, path: str, body: dict[str, str], key: str) -> AtmAnswer:
        for _ in range(20):
            try:
                return await self.host.post(path, body, key=key)
            except NoAnswerError:
                continue
        raise NoAnswerError(path)

    def _show(self, answer: AtmAnswer) -> None:
        """Khmer first, then English: the wallet's words, or the problem's."""
        body = answer.body or {}
        words = body.get("screen") if answer.status < 400 else body.get("facts")
        if words and "screen_km" in words:
            self.screens.append(f"{words['screen_km']}\n{words['screen_en']}")
        elif "detail" in body:
            self.screens.append(f"{body['detail']['km']}\n{body['detail']['en']}")
        if answer.status == 201:
            self.screens.append(body["claim"]["number_match"])

    def _print(self, made: dict[str, Any], reference: dict[str, str]) -> None:
        claim = made["claim"]
        self.slips.append(
            "\n".join(
                (
                    f"{self.host.terminal}  {reference['local_date']}  RRN {reference['rrn']}",
                    f"•••• {made['last_four']}",
                    f"លេខយោង / Reference: {claim['reference']}",
                    f"ត្រូវទទួលយកក្នុង / Claim within: {claim['lifetime_s'] // 60} min",
                    claim["qr_text"],
                    f"ជំនួយ / Help: {HOTLINE}",
                )
            )
        )

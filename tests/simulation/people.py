"""The people of a simulated day: they pay, top up, claim cards and dispute, on a bad line."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from simulators.atm import AnswerForgedError, AtmAnswer, AtmHost, NoAnswerError
from simulators.phone import Phone, PhoneError
from tests.crash.street import shop_code
from tests.simulation.model import Effects, Model
from tests.world import WorldHolder
from wallet import khqr
from wallet.access import totp
from wallet.clock import Clock, day_of
from wallet.identifiers import AccountId
from wallet.khqr import Draft, Form
from wallet.money import Currency
from wallet.qr.scanning import milliseconds
from wallet.registry import banks

TOPUP_ENDINGS: Final = (0, 1, 2, 80, 81, 82, 83, 86, 87, 92)
"""Last two digits of numbers: delivered, open, declined, silent, taken back, busy, late."""


@dataclass
class Person:
    """A holder with a paired phone and a code app."""

    holder: WorldHolder
    phone: Phone
    secret: str


@dataclass
class Signed:
    """An intent somebody signed; asked again, it gives its one answer."""

    phone: Phone
    shown: dict[str, Any]
    otp: str | None


@dataclass
class Crowd:
    """Everybody with a phone, what they signed, and what they should own."""

    model: Model
    clock: Clock
    people: list[Person]
    signed: dict[str, Signed]
    paid: list[tuple[Person, str, int]]
    """Payments to shops that were acknowledged: they may be disputed, each once."""

    topups: dict[str, tuple[AccountId, int]]
    """By top-up: the wallet it is paid from, and its price."""

    async def pay_shop(self, luck: random.Random) -> None:
        person, riel = luck.choice(self.people), luck.randrange(100, 20_000)
        effects = {person.holder.khr: -riel}
        shown = await self._prepare(person, "qr.pay", code=shop_code(self.clock, riel))
        if await self._sign(person, shown, "pays a shop", effects, luck) == "done":
            self.paid.append((person, str(shown and shown["id"]), riel))

    async def pay_somebody(self, luck: random.Random) -> None:
        """By the other's static code: nothing in it keeps it from being paid twice."""
        person = luck.choice(self.people)
        others = [
            one.holder
            for one in self.people
            if one.holder.bank == person.holder.bank and one is not person
        ]
        to, riel = luck.choice(others), luck.randrange(100, 20_000)
        shown = await self._prepare(
            person, "qr.pay", code=own_code(to, self.clock), amount=str(riel)
        )
        effects = {person.holder.khr: -riel, to.khr: riel}
        await self._sign(person, shown, "pays somebody", effects, luck)

    async def top_up(self, luck: random.Random) -> None:
        person = luck.choice(self.people)
        number = f"012 34{luck.randrange(10)} {luck.randrange(10)}{luck.choice(TOPUP_ENDINGS):02d}"
        shown = await self._prepare(
            person, "topup.buy", phone=number, amount="5000", currency="KHR", confirm_repeat=True
        )
        # What it does to the money is settled by the operator's books, at the end of the day.
        if shown is not None:
            self.topups[shown["id"]] = (person.holder.khr, shown["money"]["amount_minor"])
        await self._sign(person, shown, "tops up", {}, luck)

    async def claim(self, person: Person, slip: dict[str, Any], luck: random.Random) -> None:
        shown = await self._prepare(
            person,
            "card.claim",
            reference=slip["reference"],
            number_match=slip["number_match"],
        )
        fee = 0 if shown is None or shown["money"] is None else shown["money"]["amount_minor"]
        await self._sign(person, shown, "claims a card", {person.holder.khr: -fee}, luck)

    async def ask_again(self, act_id: str) -> str:
        """How a signed intent stands, from its own one answer."""
        signed = self.signed[act_id]
        try:
            await signed.phone.authorise(signed.shown, signed.otp, coded=False)
        except PhoneError as no:
            return no.code
        return "done"

    async def _prepare(self, person: Person, kind: str, **fields: Any) -> dict[str, Any] | None:
        for _ in range(4):
            try:
                return await person.phone.prepare(kind, **fields)
            except httpx.TransportError:
                continue
            except PhoneError as no:
                if not no.problem.get("retryable"):
                    return None
        return None

    async def _sign(
        self,
        person: Person,
        shown: dict[str, Any] | None,
        what: str,
        effects: Effects,
        luck: random.Random,
    ) -> str | None:
        """Sign it, and ask again a few times where no answer comes; some give up and never hear."""
        if shown is None:
            return None
        act_id = shown["id"]
        self.model.ask(act_id, what, effects)
        coded = shown["needs"]["otp"] == "required"
        otp = totp.code_at(person.secret, self.clock.now()) if coded else None
        self.signed[act_id] = Signed(person.phone, shown, otp)
        for _ in range(luck.randint(1, 4)):
            try:
                ending = await self.ask_again(act_id)
            except httpx.TransportError:
                continue
            if not _retryable(ending):
                self.model.told(act_id, ending)
                return ending
        return None


def _retryable(code: str) -> bool:
    return code in ("unavailable", "busy", "in_flight", "outcome_unknown", "rate_limited")


def own_code(to: WorldHolder, clock: Clock) -> str:
    """The static code of a holder's riel wallet."""
    bank = banks.named(to.bank)
    text = khqr.write(
        Draft(
            form=Form.INDIVIDUAL,
            account=bank.settlement_khqr_id,
            detail=to.khr_number,
            bank=bank.name_en,
            name="A friend",
            currency=Currency.KHR.numeric,
        ),
        milliseconds(clock.now()),
    )
    assert isinstance(text, str), text
    return text


@dataclass
class Machine:
    """An ATM that asks for cards, sometimes takes them back, and whose slips are claimed."""

    host: AtmHost
    crowd: Crowd
    asked: dict[str, str]
    """By key: what was told of it (`made`, `taken back`, a code), or `unknown`."""

    async def card(self, luck: random.Random, number: int) -> None:
        own = [p for p in self.crowd.people if p.holder.bank == "ACLEDA"]
        person = luck.choice(own)
        body = {
            "smart_id_number": person.holder.smart_id_number,
            "pin_verified": True,
            "rrn": f"601209{number:06d}",
            "stan": f"{number:06d}",
            "local_date": day_of(self.crowd.clock.now()).isoformat(),
        }
        key = f"atm-{number}"
        self.asked[key] = "unknown"
        answer = await self._post("/v1/atm/cards", body, key)
        if answer is None:
            return
        self.asked[key] = "made" if answer.status == 201 else str(answer.code)
        if answer.status != 201:
            return
        what = luck.random()
        if what < 0.5:
            await self.crowd.claim(person, answer.body["claim"], luck)
        elif what < 0.75:
            # As the machine would: the answer came, the printer did not.
            back = {name: body[name] for name in ("rrn", "stan", "local_date")}
            told = await self._post(
                "/v1/atm/cards/reverse", {**back, "cause": "printer_failed"}, f"back-{number}"
            )
            if told is not None and told.status == 200:
                self.asked[key] = f"taken back: {told.body['result']}"

    async def _post(self, path: str, body: dict[str, Any], key: str) -> AtmAnswer | None:
        """None when the machine does not know what became of it."""
        for _ in range(3):
            try:
                answer = await self.host.post(path, body, key=key)
            except (NoAnswerError, AnswerForgedError):
                continue
            # One of two copies of a signed request is a replay: the machine signs it anew.
            if answer.code not in ("signature_replayed", "signature_stale") and not _retryable(
                str(answer.code)
            ):
                return answer
        return None


Deed = Callable[[random.Random], Any]

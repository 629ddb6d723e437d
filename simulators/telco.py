"""An operators' aggregator as a real server: sells airtime from a prepaid float, and misbehaves.

Promise: its books tell the truth whatever it says on the wire: every submission heard, every
delivery made, every cent of float. A reference is delivered at most once; a used one is refused,
not replayed. Books are a SQLite file, so a restart forgets nothing. The dialect follows DT One's
DVS API (statuses, error 1007001), amounts being decimal texts.

The last two digits of the phone number choose what happens (`BEHAVIOURS`):

  00-79 delivered at once            86 delivered, then reversed
  80 open, then delivered            87 429 too many requests
  81 declined                        88 float empty
  82 no answer, yet delivered        89 operator down (503, nothing recorded)
  83 no answer, never seen           90 callbacks out of order
  84 callback twice                  91 callback with a bad signature, and a lie in it
  85 callback before the answer      92 no answer, not found, delivered late

  GET  /v1/lookup/mobile-number/{number}     whose number it is
  GET  /v1/products?operator=                what is sold
  POST /v1/async/transactions                buy; `external_id` is the buyer's reference
  GET  /v1/transactions?external_id=         [] or [the transaction]
  GET  /books?ref=                           the books, for tests and demos

Callers: runtime's operator adapter over HTTP; tests read `books` directly.
"""

import argparse
import asyncio
import base64
import contextlib
import enum
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Annotated, Final

import httpx
import msgspec

from simulators.server import Answer, Call, Route, Server, Silence, run
from simulators.telco_books import Books, Callback, Status, Step, Transaction
from wallet.money import Currency, Money

CALLBACK_SECRET: Final = "telco-simulator-callbacks"  # noqa: S105 - shared with the demo, guards nothing
TICK_S: Final = 0.1
CALLBACK_TIMEOUT_S: Final = 2.0


class Reply(enum.Enum):
    """What the submitter hears."""

    STATUS = "status"
    SILENCE = "silence"
    TOO_MANY = "too_many"
    NO_FLOAT = "no_float"
    DOWN = "down"


class Callbacks(enum.Enum):
    """How the buyer's callback address is told."""

    ONCE = "once"
    TWICE = "twice"
    BEFORE_ANSWER = "before_answer"
    OUT_OF_ORDER = "out_of_order"
    FORGED = "forged"


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from submission: open ones deliver, delivered ones are reversed, late ones appear."""

    open_s: float = 3.0
    reverse_s: float = 8.0
    late_s: float = 30.0


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a submission. A `life` of no steps is never recorded."""

    reply: Reply = Reply.STATUS
    life: tuple[tuple[str, Status], ...] = (("now", Status.COMPLETED),)
    callbacks: Callbacks = Callbacks.ONCE


_OPEN_THEN_DELIVERED = (("now", Status.SUBMITTED), ("open_s", Status.COMPLETED))
AT_ONCE: Final = Behaviour()
BEHAVIOURS: Final = {
    80: Behaviour(life=_OPEN_THEN_DELIVERED),
    81: Behaviour(life=(("now", Status.DECLINED),)),
    82: Behaviour(reply=Reply.SILENCE),
    83: Behaviour(reply=Reply.SILENCE, life=()),
    84: Behaviour(life=_OPEN_THEN_DELIVERED, callbacks=Callbacks.TWICE),
    85: Behaviour(callbacks=Callbacks.BEFORE_ANSWER),
    86: Behaviour(life=(("now", Status.COMPLETED), ("reverse_s", Status.REVERSED))),
    87: Behaviour(reply=Reply.TOO_MANY, life=()),
    88: Behaviour(reply=Reply.NO_FLOAT, life=()),
    89: Behaviour(reply=Reply.DOWN, life=()),
    90: Behaviour(life=_OPEN_THEN_DELIVERED, callbacks=Callbacks.OUT_OF_ORDER),
    91: Behaviour(life=_OPEN_THEN_DELIVERED, callbacks=Callbacks.FORGED),
    92: Behaviour(reply=Reply.SILENCE, life=(("late_s", Status.COMPLETED),)),
}

OWNERS: Final = {
    "CELLCARD": "11 12 14 17 61 76 77 78 79 85 89 92 95 99",
    "SMART": "10 15 16 69 70 81 86 87 93 96 98",
    "METFONE": "31 60 66 67 68 71 88 90 97",
    "SEATEL": "18",
    "COOTEL": "38",
}
"""Who was given which numbers; `ported` numbers of a simulator have moved since."""

SOLD: Final = ("CELLCARD", "SMART", "METFONE", "SEATEL")
SMALLEST: Final = Money.usd(100)
LARGEST: Final = Money.usd(10_000)


class Party(msgspec.Struct, frozen=True, kw_only=True):
    mobile_number: Annotated[str, msgspec.Meta(pattern=r"^\+855[0-9]{8,9}$")]


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A submission: `amount` is the airtime in dollars, a decimal text."""

    external_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    product_id: str
    amount: str
    credit_party_identifier: Party
    auto_confirm: bool = True
    callback_url: str | None = None


class Telco(Server):
    """The aggregator's server over its books.

    `now` and `tick_s=None` put time in a test's hand: then nothing is due before `tick()`.
    """

    def __init__(
        self,
        books: Books,
        *,
        port: int = 0,
        pace: Pace | None = None,
        now: Callable[[], float] = time.time,
        ported: dict[str, str] | None = None,
        callback_secret: str = CALLBACK_SECRET,
        tick_s: float | None = TICK_S,
    ) -> None:
        self.books = books
        self.ported = dict(ported or {})
        self._pace = pace or Pace()
        self._now = now
        self._secret = callback_secret.encode()
        self._tick_s = tick_s
        self._ticker: asyncio.Task[None] | None = None
        self._http = httpx.AsyncClient(timeout=CALLBACK_TIMEOUT_S, trust_env=False)
        super().__init__(
            [
                Route(method="GET", path="/v1/lookup/mobile-number/{number}", handler=self._lookup),
                Route(method="GET", path="/v1/products", handler=self._products),
                Route(method="POST", path="/v1/async/transactions", handler=self._submit),
                Route(method="GET", path="/v1/transactions", handler=self._find),
                Route(method="GET", path="/books", handler=self._show_books),
            ],
            port=port,
        )

    async def start(self) -> None:
        await super().start()
        if self._tick_s is not None:
            self._ticker = asyncio.create_task(self._tick_on(self._tick_s))

    async def stop(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        await super().stop()
        await self._http.aclose()

    async def tick(self) -> None:
        """Let everything that is due by now happen, callbacks included."""
        self.books.advance(self._now())
        for callback in self.books.take_callbacks(self._now()):
            await self._tell(callback)

    async def _tick_on(self, pause_s: float) -> None:
        while True:
            await self.tick()
            await asyncio.sleep(pause_s)

    async def _lookup(self, call: Call) -> Answer:
        owner = self._owner(call.parts["number"])
        if owner is None:
            return _error(404, 1005003, "Number is not any operator's")
        return Answer(body=[{"id": owner, "name": owner.title(), "identified": True}])

    async def _products(self, call: Call) -> Answer:
        wanted = call.query.get("operator")
        return Answer(body=[_product(name) for name in SOLD if wanted in (None, name)])

    async def _find(self, call: Call) -> Answer:
        self.books.advance(self._now())
        found = self.books.find(call.query.get("external_id", ""))
        return Answer(body=[] if found is None else [_wire(found)])

    async def _show_books(self, call: Call) -> Answer:
        self.books.advance(self._now())
        return Answer(body=self.books.show(call.query.get("ref")))

    async def _submit(self, call: Call) -> Answer | Silence:
        order = call.json(Order)
        number = order.credit_party_identifier.mobile_number
        self.books.hear(order.external_id, number, self._now())
        if self.books.used(order.external_id):
            return _error(400, 1007001, "External ID has already been used")
        amount = Money.parse(order.amount, Currency.USD)
        if amount is None or not SMALLEST <= amount <= LARGEST:
            return _error(400, 1003002, "Amount is not sold")
        behaviour = BEHAVIOURS.get(int(number[-2:]), AT_ONCE)
        refused = self._refuse(order, amount) or _refuse_by(behaviour.reply)
        if refused is not None:
            return refused
        return await self._accept_order(order, amount, behaviour)

    def _refuse(self, order: Order, amount: Money) -> Answer | None:
        operator = order.product_id.removesuffix("-AIRTIME")
        if order.product_id == operator or operator not in SOLD:
            return _error(400, 1003001, "Product is not sold")
        if self._owner(order.credit_party_identifier.mobile_number) != operator:
            return _error(400, 1005003, "Number is not this operator's")
        if self.books.float_minor() < amount.minor:
            return _error(400, 1006001, "Insufficient balance")
        return None

    async def _accept_order(
        self, order: Order, amount: Money, behaviour: Behaviour
    ) -> Answer | Silence:
        now = self._now()
        if behaviour.life:
            delays = {"now": 0.0, **msgspec.structs.asdict(self._pace)}
            life = [Step(due_at=now + delays[d], status=status) for d, status in behaviour.life]
            self.books.open(
                ref=order.external_id,
                number=order.credit_party_identifier.mobile_number,
                product=order.product_id,
                amount_minor=amount.minor,
                life=life,
                callbacks=_callbacks(behaviour.callbacks, life, order.callback_url),
            )
        self.books.advance(now)
        if behaviour.callbacks is Callbacks.BEFORE_ANSWER:
            for callback in self.books.take_callbacks(now, order.external_id):
                await self._tell(callback)
        recorded = self.books.find(order.external_id)
        if behaviour.reply is Reply.SILENCE or recorded is None:
            return Silence()
        return Answer(status=201, body=_wire(recorded))

    def _owner(self, number: str) -> str | None:
        if number in self.ported:
            return self.ported[number]
        prefix = number.removeprefix("+855")[:2]
        return next((name for name, given in OWNERS.items() if prefix in given.split()), None)

    async def _tell(self, callback: Callback) -> None:
        """Post one callback, signed as Standard Webhooks has it. One that is lost stays lost."""
        body = msgspec.json.encode(
            {"external_id": callback.ref, "status": _status(callback.status)}
        )
        secret = b"not the secret" if callback.forged else self._secret
        headers = sign_callback(secret, f"cb-{callback.id}", int(time.time()), body)
        with contextlib.suppress(httpx.HTTPError):
            await self._http.post(callback.url, content=body, headers=headers)


def sign_callback(secret: bytes, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of a Standard Webhooks message: HMAC-SHA256 over `id.seconds.body`."""
    signed = hmac.digest(secret, f"{message_id}.{at}.".encode() + body, hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def _callbacks(style: Callbacks, life: list[Step], url: str | None) -> list[Callback]:
    if url is None:
        return []
    told = [Callback(url=url, due_at=step.due_at, status=step.status) for step in life]
    match style:
        case Callbacks.TWICE:
            return [callback for callback in told for _ in range(2)]
        case Callbacks.OUT_OF_ORDER:
            last = told[-1].due_at
            return [msgspec.structs.replace(c, due_at=last) for c in reversed(told)]
        case Callbacks.FORGED:
            lie = Callback(url=url, due_at=told[0].due_at, status=Status.DECLINED, forged=True)
            return [lie]
        case Callbacks.ONCE | Callbacks.BEFORE_ANSWER:
            return told


def _refuse_by(reply: Reply) -> Answer | None:
    match reply:
        case Reply.TOO_MANY:
            return _error(429, 1000429, "Too many requests")
        case Reply.NO_FLOAT:
            return _error(400, 1006001, "Insufficient balance")
        case Reply.DOWN:
            return _error(503, 1000503, "Operator is not reachable")
        case Reply.STATUS | Reply.SILENCE:
            return None


def _error(status: int, code: int, message: str) -> Answer:
    return Answer(status=status, body={"errors": [{"code": code, "message": message}]})


def _status(status: Status) -> dict[str, object]:
    return {"id": status.value, "message": status.name}


def _wire(found: Transaction) -> dict[str, object]:
    return {
        "id": found.id,
        "external_id": found.ref,
        "product_id": found.product,
        "amount": Money.usd(found.amount_minor).decimal(),
        "credit_party_identifier": {"mobile_number": found.number},
        "status": _status(found.status),
    }


def _product(operator: str) -> dict[str, object]:
    return {
        "id": f"{operator}-AIRTIME",
        "operator": operator,
        "type": "RANGED_VALUE_RECHARGE",
        "unit": "USD",
        "minimum": SMALLEST.decimal(),
        "maximum": LARGEST.decimal(),
        "step": "0.01",
    }


def main() -> None:
    """`python -m simulators.telco --port N --books FILE`"""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--books", default=":memory:", metavar="FILE")
    for name, seconds in msgspec.structs.asdict(Pace()).items():
        options.add_argument(f"--{name.replace('_', '-')}", type=float, default=seconds)
    chosen = options.parse_args()
    pace = Pace(open_s=chosen.open_s, reverse_s=chosen.reverse_s, late_s=chosen.late_s)
    books = Books(chosen.books)
    try:
        asyncio.run(run(Telco(books, port=chosen.port, pace=pace), name="telco"))
    finally:
        books.close()


if __name__ == "__main__":
    main()

"""The phones' wallets' token service as a real server: keeps a token a ref, and misbehaves.

Promise: a ref is one token, however often it is ordered; an order with a version not above the last
one changes nothing and is answered with what is kept; DELETED is final. Of a card it keeps the last
four digits and never the number. Books are a SQLite file, so a restart forgets nothing.

  PUT /v1/tokens/{ref} {version, state, wallet, last_four, expires_on, number?}
                              200 what is kept; 409 turned_down (number ends in 0000 or is missing)
  GET /v1/tokens/{ref}        200 what is kept; 404 no_such_token

`faults`, one taken by each order: "lost" (done, and no answer), "deaf" (no answer, nothing done),
"down" (503). Callers: runtime's adapter over HTTP; tests read `books` and plant faults.
"""

import argparse
import asyncio
import sqlite3
from collections import deque
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from simulators.server import Answer, Call, Route, Server, Silence, run


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the issuer wants under a ref."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    state: Literal["ACTIVE", "SUSPENDED", "DELETED"]
    wallet: str
    last_four: Annotated[str, msgspec.Meta(pattern="^[0-9]{4}$")]
    expires_on: str
    number: Annotated[str, msgspec.Meta(pattern="^[0-9]{12,19}$")] | None = None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A token of the books; `orders` counts every order heard under its ref."""

    ref: str
    version: int
    state: str
    wallet: str
    last_four: str
    token_ref: str
    orders: int


class TokenBooks:
    """The service's memory."""

    def __init__(self, file: Path | str = ":memory:") -> None:
        self._kept = sqlite3.connect(file, isolation_level=None)
        self._kept.execute(_TABLE)

    def close(self) -> None:
        self._kept.close()

    def order(self, ref: str, order: Order) -> Kept | None:
        """What is kept after this order; None when the card is turned down."""
        kept = self.find(ref)
        if kept is None and (order.number is None or order.number.endswith("0000")):
            return None
        if kept is None:
            values = (ref, order.version, order.state, order.wallet, order.last_four)
            self._kept.execute(_MAKE, values)
        else:
            self._kept.execute(_HEAR, (ref,))
            self._kept.execute(_CHANGE, (order.version, order.state, ref, order.version))
        return self.find(ref)

    def find(self, ref: str) -> Kept | None:
        row = self._kept.execute(_BY_REF, (ref,)).fetchone()
        return None if row is None else _kept(row)

    def every(self) -> list[Kept]:
        return [_kept(row) for row in self._kept.execute(_EVERY)]


class TokenServer(Server):
    """The service over its books; tests append to `faults`."""

    def __init__(self, books: TokenBooks, *, port: int = 0) -> None:
        self.books = books
        self.faults: deque[Literal["lost", "deaf", "down"]] = deque()
        super().__init__(
            [
                Route(method="PUT", path="/v1/tokens/{ref}", handler=self._put),
                Route(method="GET", path="/v1/tokens/{ref}", handler=self._get),
            ],
            port=port,
        )

    async def _put(self, call: Call) -> Answer | Silence:
        order = call.json(Order)
        fault = self.faults.popleft() if self.faults else None
        if fault == "deaf":
            return Silence()
        if fault == "down":
            return Answer(status=503, body={"error": "down"})
        kept = self.books.order(call.parts["ref"], order)
        if fault == "lost":
            return Silence()
        if kept is None:
            return Answer(status=409, body={"error": "turned_down"})
        return Answer(body=kept)

    async def _get(self, call: Call) -> Answer:
        kept = self.books.find(call.parts["ref"])
        if kept is None:
            return Answer(status=404, body={"error": "no_such_token"})
        return Answer(body=kept)


_TABLE = """
create table if not exists tokens (
    id integer primary key autoincrement,
    ref text not null unique,
    version integer not null,
    state text not null,
    wallet text not null,
    last_four text not null,
    orders integer not null default 1
)
"""
_MAKE = "insert into tokens (ref, version, state, wallet, last_four) values (?, ?, ?, ?, ?)"
_HEAR = "update tokens set orders = orders + 1 where ref = ?"
_CHANGE = """
update tokens set version = ?, state = ? where ref = ? and version < ? and state <> 'DELETED'
"""
_COLUMNS = "ref, version, state, wallet, last_four, id, orders"
_BY_REF = f"select {_COLUMNS} from tokens where ref = ?"  # noqa: S608 - our own words
_EVERY = f"select {_COLUMNS} from tokens order by id"  # noqa: S608 - constants


def _kept(row: tuple[str, int, str, str, str, int, int]) -> Kept:
    ref, version, state, wallet, last_four, number, orders = row
    return Kept(
        ref=ref,
        version=version,
        state=state,
        wallet=wallet,
        last_four=last_four,
        token_ref=f"TKN{number:08d}",
        orders=orders,
    )


def main() -> None:
    """`python -m simulators.token_service --port N --books FILE`"""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--books", default=":memory:", metavar="FILE")
    chosen = options.parse_args()
    books = TokenBooks(chosen.books)
    try:
        asyncio.run(run(TokenServer(books, port=chosen.port), name="token service"))
    finally:
        books.close()


if __name__ == "__main__":
    main()

"""A push gateway as a real server, as phones' platforms run them: it knows each installation of an
app by an address, and what is pushed to an address waits there for the phone.

Promise: a message is kept once for each `ref`, however often it is posted; what is sealed in it the
gateway cannot read. An address that was given up answers 410 for ever. Kept in a SQLite file, so it
survives a restart. Nothing leaves the machine.
Callers: notifications' push channel (POST /pushes), the phone simulator and tests (the rest).

  POST   /addresses {installation}         201 {address}: the same one for the same installation
  DELETE /addresses/{address}              200; the app was removed
  POST   /pushes {to, sealed, ref, lives_s}  201 taken, 200 the same again, 410 nobody is there
  GET    /pushes?to=&after=                messages to one address (or to all), oldest first
"""

import argparse
import asyncio
import secrets
import sqlite3
from pathlib import Path
from typing import Annotated

import msgspec

from simulators.server import Answer, Call, Route, Server, run


class Installation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One app on one phone, by a name of its own making."""

    installation: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Pushing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the wallet posts: whose phone, what only that phone can read, its own reference, and
    after how many seconds it is of no use any more."""

    to: Annotated[str, msgspec.Meta(min_length=16, max_length=512)]
    sealed: Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]
    ref: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    lives_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)]


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the gateway kept it; `id` counts up from 1 in order of arrival."""

    id: int
    ref: str
    to: str
    sealed: str


class Pushes:
    """The gateway's memory."""

    def __init__(self, file: Path | str = ":memory:") -> None:
        self._kept = sqlite3.connect(file, isolation_level=None)
        self._kept.executescript(_TABLES)

    def close(self) -> None:
        self._kept.close()

    def address_of(self, installation: str) -> str:
        """The address of an installation, a new one where it has none that is good."""
        fresh = f"sim:{secrets.token_urlsafe(24)}"
        self._kept.execute(_REGISTER, (fresh, installation))
        row = self._kept.execute(_ADDRESS, (installation,)).fetchone()
        return str(row[0])

    def remove(self, address: str) -> None:
        self._kept.execute("update addresses set gone = 1 where address = ?", (address,))

    def keep(self, pushing: Pushing) -> bool | None:
        """Whether it is new; None where nobody is at the address."""
        if self._kept.execute(_STANDS, (pushing.to,)).fetchone() is None:
            return None
        cursor = self._kept.execute(_KEEP, (pushing.ref, pushing.to, pushing.sealed))
        return cursor.rowcount == 1

    def to(self, address: str | None = None, after: int = 0) -> list[Push]:
        """Messages with an id above `after`, to one address or to all, oldest first."""
        rows = self._kept.execute(_LIST, {"to": address, "after": after})
        return [Push(id=row[0], ref=row[1], to=row[2], sealed=row[3]) for row in rows]


class PushGateway(Server):
    """The gateway's server; tests read `pushes` directly."""

    def __init__(self, pushes: Pushes, *, port: int = 0) -> None:
        self.pushes = pushes
        super().__init__(
            [
                Route(method="POST", path="/addresses", handler=self._register),
                Route(method="DELETE", path="/addresses/{address}", handler=self._remove),
                Route(method="POST", path="/pushes", handler=self._push),
                Route(method="GET", path="/pushes", handler=self._get),
            ],
            port=port,
        )

    async def _register(self, call: Call) -> Answer:
        asked = call.json(Installation)
        address = self.pushes.address_of(asked.installation)
        return Answer(status=201, body={"address": address})

    async def _remove(self, call: Call) -> Answer:
        self.pushes.remove(call.parts["address"])
        return Answer(status=200, body={})

    async def _push(self, call: Call) -> Answer:
        new = self.pushes.keep(call.json(Pushing))
        if new is None:
            return Answer(status=410, body={"error": "nobody_there"})
        return Answer(status=201 if new else 200, body={})

    async def _get(self, call: Call) -> Answer:
        after = call.query.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            return Answer(status=400, body={"error": "bad_after"})
        return Answer(body={"pushes": self.pushes.to(call.query.get("to"), int(after))})


_TABLES = """
create table if not exists addresses (
    address text primary key,
    installation text not null,
    gone integer not null default 0
);
create unique index if not exists addresses_one on addresses (installation) where gone = 0;
create table if not exists pushes (
    id integer primary key autoincrement,
    ref text not null unique,
    recipient text not null,
    sealed text not null
);
"""
_REGISTER = "insert into addresses (address, installation) values (?, ?) on conflict do nothing"
_ADDRESS = "select address from addresses where installation = ? and gone = 0"
_STANDS = "select address from addresses where address = ? and gone = 0"
_KEEP = "insert into pushes (ref, recipient, sealed) values (?, ?, ?) on conflict do nothing"
_LIST = """
select id, ref, recipient, sealed from pushes
where id > :after and (:to is null or recipient = :to)
order by id
"""


def main() -> None:
    """`python -m simulators.push_gateway --port N --books FILE`"""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--books", default=":memory:", metavar="FILE")
    chosen = options.parse_args()
    pushes = Pushes(chosen.books)
    try:
        asyncio.run(run(PushGateway(pushes, port=chosen.port), name="push gateway"))
    finally:
        pushes.close()


if __name__ == "__main__":
    main()

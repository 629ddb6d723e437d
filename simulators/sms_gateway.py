"""An SMS gateway as a real server: what is sent to a number can be read on the phone simulator.

Promise: a message is kept once for each `ref`, however often it is posted; a repeat gets the first
message's answer, the same ref with another text is refused. Kept in a SQLite file, so it survives
a restart. Nobody is charged and nothing leaves the machine.
Callers: notifications' SMS channel (POST), the phone simulator and tests (GET).

  POST /messages {to, text, ref}      201 the kept message, 200 the same again, 409 another text
  GET  /messages?to=&after=           messages to one number (or to all), oldest first
"""

import argparse
import asyncio
import sqlite3
from pathlib import Path
from typing import Annotated

import msgspec

from simulators.server import Answer, Call, Route, Server, run


class Sending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the wallet posts: an E.164 number, the text, and its own reference."""

    to: Annotated[str, msgspec.Meta(pattern=r"^\+[1-9][0-9]{6,14}$")]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=1600)]
    ref: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the gateway kept it; `id` counts up from 1 in order of arrival."""

    id: int
    ref: str
    to: str
    text: str


class Messages:
    """The gateway's memory."""

    def __init__(self, file: Path | str = ":memory:") -> None:
        self._kept = sqlite3.connect(file, isolation_level=None)
        self._kept.execute(_TABLE)

    def close(self) -> None:
        self._kept.close()

    def keep(self, sending: Sending) -> tuple[Message, bool]:
        """The message kept under the ref, and whether it is new. Its text may be another's."""
        cursor = self._kept.execute(_KEEP, (sending.ref, sending.to, sending.text))
        row = self._kept.execute(_BY_REF, (sending.ref,)).fetchone()
        return _message(row), cursor.rowcount == 1

    def to(self, number: str | None = None, after: int = 0) -> list[Message]:
        """Messages with an id above `after`, to `number` or to everyone, oldest first."""
        rows = self._kept.execute(_LIST, {"to": number, "after": after})
        return [_message(row) for row in rows]


class SmsGateway(Server):
    """The gateway's server; tests read `messages` directly."""

    def __init__(self, messages: Messages, *, port: int = 0) -> None:
        self.messages = messages
        super().__init__(
            [
                Route(method="POST", path="/messages", handler=self._post),
                Route(method="GET", path="/messages", handler=self._get),
            ],
            port=port,
        )

    async def _post(self, call: Call) -> Answer:
        sending = call.json(Sending)
        message, new = self.messages.keep(sending)
        if (message.to, message.text) != (sending.to, sending.text):
            return Answer(status=409, body={"error": "ref_reused"})
        return Answer(status=201 if new else 200, body=message)

    async def _get(self, call: Call) -> Answer:
        after = call.query.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            return Answer(status=400, body={"error": "bad_after"})
        return Answer(body={"messages": self.messages.to(call.query.get("to"), int(after))})


_TABLE = """
create table if not exists messages (
    id integer primary key autoincrement,
    ref text not null unique,
    recipient text not null,
    text text not null
)
"""
_KEEP = "insert into messages (ref, recipient, text) values (?, ?, ?) on conflict do nothing"
_BY_REF = "select id, ref, recipient, text from messages where ref = ?"
_LIST = """
select id, ref, recipient, text from messages
where id > :after and (:to is null or recipient = :to)
order by id
"""


def _message(row: tuple[int, str, str, str]) -> Message:
    return Message(id=row[0], ref=row[1], to=row[2], text=row[3])


def main() -> None:
    """`python -m simulators.sms_gateway --port N --books FILE`"""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--books", default=":memory:", metavar="FILE")
    chosen = options.parse_args()
    messages = Messages(chosen.books)
    try:
        asyncio.run(run(SmsGateway(messages, port=chosen.port), name="sms gateway"))
    finally:
        messages.close()


if __name__ == "__main__":
    main()

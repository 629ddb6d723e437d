"""A wire between the wallet and PostgreSQL that cuts at chosen moments of a conversation.

Promise: knows the protocol's framing (types and lengths, both ways), so that a cut happens exactly
before a COMMIT reaches the server, after it did and before the reply is back, in the middle of the
reply, or at any other statement. One armed fault strikes one connection once; what passes otherwise
passes untouched. It also knows what the server did: `committed` counts its replies to COMMIT.

Callers: test_cut_commits and the benches of planted faults.
"""

import asyncio
import contextlib
import enum
import random
import socket
import struct
from collections import Counter
from types import TracebackType
from typing import Final, Self

SSL_REQUEST: Final = 80877103
COMMIT: Final = b"Q" + struct.pack("!I", 11) + b"commit\0"
ASKING: Final = frozenset(b"QPB")
"""Messages a statement begins with: a simple query, a parse, a bind."""

HANGS_S: Final = 0.05
LATE_S: Final = 0.08


class Fault(enum.Enum):
    """Where a connection breaks."""

    BEFORE_COMMIT = "the COMMIT never reaches the server"
    UNHEARD = "the server has the COMMIT, and nobody waits for what it says"
    AFTER_COMMIT = "the server committed, and its reply is lost whole"
    IN_REPLY = "the reply to COMMIT breaks off in the middle"
    LATE_REPLY = "the reply to COMMIT comes late, and whole"
    AT_STATEMENT = "another statement never reaches the server"
    IN_ANSWER = "a statement's answer breaks off in the middle"


AT_COMMIT: Final = (Fault.BEFORE_COMMIT, Fault.UNHEARD, Fault.AFTER_COMMIT, Fault.IN_REPLY)


class Proxy:
    """Listens on a port of its own and passes everything on to the server's."""

    def __init__(self, server_port: int, chance: random.Random) -> None:
        self._server_port = server_port
        self._chance = chance
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self.armed: Fault | None = None
        self.skip = 0
        """So many chances to strike are let pass first."""
        self.struck: Counter[Fault] = Counter()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def arm(self, fault: Fault, skip: int = 0) -> None:
        """The next connection that comes to this point meets the fault (after `skip` others)."""
        self.armed, self.skip = fault, skip

    def strikes(self, *faults: Fault) -> Fault | None:
        """Takes the armed fault, if it is one of these and its turn has come."""
        if self.armed not in faults:
            return None
        if self.skip > 0:
            self.skip -= 1
            return None
        fault, self.armed = self.armed, None
        assert fault is not None
        self.struck[fault] += 1
        return fault

    def piece(self, message: bytes) -> bytes:
        """Some beginning of a message, never the whole."""
        return message[: self._chance.randrange(len(message))]

    def rough(self) -> bool:
        """Whether a cut is a reset rather than an orderly end."""
        return self._chance.random() < 0.5

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            their_reader, their_writer = await asyncio.open_connection(
                "127.0.0.1", self._server_port
            )
            link = _Link(self, reader, writer, their_reader, their_writer)
            await link.pass_on()
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._links.discard(task)


class _CutError(Exception):
    """This connection is over."""


class _Link:
    """One client's connection and its counterpart at the server."""

    def __init__(
        self,
        proxy: Proxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        their_reader: asyncio.StreamReader,
        their_writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._their_reader = their_reader
        self._their_writer = their_writer
        self._at_reply: Fault | None = None
        """What becomes of the server's next message."""

    async def pass_on(self) -> None:
        try:
            await self._shake_hands()
            ways = [asyncio.create_task(self._asked()), asyncio.create_task(self._answered())]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (_CutError, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._hang_up()

    async def _shake_hands(self) -> None:
        """The only messages without a type: the wish for TLS, refused by one byte, and hello."""
        while True:
            head = await self._reader.readexactly(8)
            length, code = struct.unpack("!II", head)
            rest = await self._reader.readexactly(length - 8)
            self._their_writer.write(head + rest)
            if code != SSL_REQUEST:
                return
            self._writer.write(await self._their_reader.readexactly(1))

    async def _asked(self) -> None:
        while True:
            message = await _message(self._reader)
            if message == COMMIT:
                await self._asked_to_commit(message)
                continue
            if message[0] in ASKING:
                fault = self._proxy.strikes(Fault.AT_STATEMENT, Fault.IN_ANSWER)
                if fault is Fault.AT_STATEMENT:
                    raise _CutError
                self._at_reply = fault or self._at_reply
            self._their_writer.write(message)
            await self._their_writer.drain()

    async def _asked_to_commit(self, message: bytes) -> None:
        fault = self._proxy.strikes(*AT_COMMIT, Fault.LATE_REPLY)
        if fault is Fault.BEFORE_COMMIT:
            raise _CutError
        if fault is not Fault.UNHEARD:
            self._at_reply = fault
        self._their_writer.write(message)
        await self._their_writer.drain()
        if fault is Fault.UNHEARD:
            raise _CutError

    async def _answered(self) -> None:
        while True:
            message = await _message(self._their_reader)
            fault, self._at_reply = self._at_reply, None
            if fault is Fault.LATE_REPLY:
                await asyncio.sleep(LATE_S)
            elif fault is Fault.AFTER_COMMIT:
                raise _CutError
            elif fault is not None:
                self._writer.write(self._proxy.piece(message))
                await asyncio.sleep(HANGS_S / 10)
                raise _CutError
            self._writer.write(message)
            await self._writer.drain()

    def _hang_up(self) -> None:
        for writer in (self._writer, self._their_writer):
            if writer is self._writer and self._proxy.rough():
                _reset(writer)
            else:
                with contextlib.suppress(OSError):
                    writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[1:5], "big") - 4)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End with RST, as a crashed router or a killed machine does."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

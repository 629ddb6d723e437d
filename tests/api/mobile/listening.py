"""A client that reads a live stream line by line: the usual test clients wait for its end."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from litestar import Litestar

PATIENCE_S: Final = 5.0


class Listening:
    """One open request to `/v1/mobile/stream`."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.ended = asyncio.Event()
        self.heartbeats = 0
        self.last_event_id: str | None = None
        self._started = asyncio.Event()
        self._gone = asyncio.Event()
        self._text = ""
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._beat = asyncio.Event()

    async def next(self, within_s: float = PATIENCE_S) -> dict[str, Any]:
        """The data of the next event."""
        async with asyncio.timeout(within_s):
            return await self._events.get()

    def unread(self) -> int:
        return self._events.qsize()

    async def beat(self, within_s: float = PATIENCE_S) -> None:
        """Wait for the next heartbeat."""
        self._beat.clear()
        async with asyncio.timeout(within_s):
            await self._beat.wait()

    async def receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            return
        self._text += message.get("body", b"").decode()
        while "\r\n\r\n" in self._text:
            block, self._text = self._text.split("\r\n\r\n", 1)
            self._read(block)
        if not message.get("more_body", False):
            self.ended.set()
            # As a server does once an answer is out.
            self._gone.set()
        # Open once it has said from where.
        self._started.set()

    def _read(self, block: str) -> None:
        fields = dict(line.split(": ", 1) for line in block.split("\r\n") if line[0] != ":")
        self.last_event_id = fields.get("id", self.last_event_id)
        if "data" in fields:
            self._events.put_nowait({"_id": fields["id"], **json.loads(fields["data"])})
        elif not fields:
            self.heartbeats += 1
            self._beat.set()

    async def started(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._started.wait()

    def hang_up(self) -> None:
        self._gone.set()


@contextlib.asynccontextmanager
async def listening(
    app: Litestar, headers: dict[str, str], after: str | None = None
) -> AsyncIterator[Listening]:
    """A stream opened, and hung up at the end."""
    client = Listening()
    sent = dict(headers) if after is None else {**headers, "last-event-id": after}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/v1/mobile/stream",
        "raw_path": b"/v1/mobile/stream",
        "root_path": "",
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }

    task = asyncio.create_task(app(scope, client.receive, client.send))  # type: ignore[arg-type]
    try:
        await client.started()
        yield client
    finally:
        client.hang_up()
        async with asyncio.timeout(PATIENCE_S):
            await task

"""A small HTTP/1.1 JSON server for the simulators: loopback only, keep-alive, clean stop.

Promise: every request gets its route's answer, one after another on each connection; a handler
may also answer `Silence`, and then the caller hears nothing until it gives up or `stop()` hangs up.
After `stop()` the port is free and no task is left. Owns no state beyond its sockets.
Callers: the simulators, in their own process (`run`) or inside a test's event loop (`async with`).
"""

import asyncio
import contextlib
import ipaddress
import re
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import h11
import msgspec

BODY_LIMIT_BYTES = 1 << 20
READ_BYTES = 65_536
JSON = "application/json"

T = TypeVar("T")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request as a handler sees it; `parts` are the `{names}` of the route's path."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    parts: dict[str, str]
    body: bytes

    def json(self, wanted: type[T]) -> T:
        """The body as `wanted`. A body of another shape is answered with 400."""
        return msgspec.json.decode(self.body, type=wanted)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back. `bytes` are sent as they are, anything else as JSON."""

    body: object
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = {}


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """No answer: the connection stays open and quiet until the caller hangs up."""


Handler = Callable[[Call], Awaitable[Answer | Silence]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A method, a path such as `/v1/things/{name}` and who answers it."""

    method: str
    path: str
    handler: Handler

    def match(self, path: str) -> dict[str, str] | None:
        """The path's named parts, or None when the path is another's."""
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)
        found = re.fullmatch(pattern, path)
        return None if found is None else {k: unquote(v) for k, v in found.groupdict().items()}


class Server:
    """Serves routes on one loopback port; port 0 takes a free one, `url` then tells it."""

    def __init__(self, routes: Sequence[Route], *, host: str = "127.0.0.1", port: int = 0) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError("a simulator listens on loopback only")
        self._routes = tuple(routes)
        self._host = host
        self._port = port
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """`http://host:port` of the listening server, without a closing slash."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Bind and listen. A port already taken raises OSError."""
        self._listener = await asyncio.start_server(self._accept, self._host, self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Free the port, hang up on every caller and wait until their tasks have ended."""
        if self._listener is None:
            return
        self._listener.close()
        open_connections = tuple(self._connections)
        for connection in open_connections:
            connection.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)
        await self._listener.wait_closed()
        self._listener = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._talk(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Connection(reader, writer).serve(self._answer)
        except (OSError, h11.ProtocolError):
            pass  # the caller hung up or spoke no HTTP; a simulator has no one to tell
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, request: h11.Request, body: bytes) -> Answer | Silence:
        target = urlsplit(request.target.decode("ascii"))
        method = request.method.decode("ascii")
        matches = [(r, parts) for r in self._routes if (parts := r.match(target.path)) is not None]
        for route, parts in matches:
            if route.method == method:
                return await _answer_call(route.handler, _call(request, target.query, parts, body))
        if matches:
            return Answer(status=405, body={"error": "method_not_allowed"})
        return Answer(status=404, body={"error": "no_such_path"})


class _Connection:
    """One caller's connection: requests in, answers out, in turn."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._wire = h11.Connection(h11.SERVER)

    async def serve(
        self, answer: Callable[[h11.Request, bytes], Awaitable[Answer | Silence]]
    ) -> None:
        while (request := await self._request()) is not None:
            body = await self._body()
            answered = (
                Answer(status=413, body={"error": "too_large"}, headers={"connection": "close"})
                if body is None
                else await answer(request, body)
            )
            if isinstance(answered, Silence):
                while await self._reader.read(READ_BYTES):
                    pass
                return
            await self._send(answered)
            if self._wire.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                return
            self._wire.start_next_cycle()

    async def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._wire.next_event()) is h11.NEED_DATA:
            self._wire.receive_data(await self._reader.read(READ_BYTES))
        return event

    async def _request(self) -> h11.Request | None:
        event = await self._event()
        return event if isinstance(event, h11.Request) else None

    async def _body(self) -> bytes | None:
        """The whole body, or None once it has grown past the limit."""
        chunks = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            chunks += event.data
            if len(chunks) > BODY_LIMIT_BYTES:
                return None
        return bytes(chunks)

    async def _send(self, answer: Answer) -> None:
        body = answer.body
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {
            "content-type": answer.content_type,
            "content-length": str(len(raw)),
            **answer.headers,
        }
        head = h11.Response(status_code=answer.status, headers=list(headers.items()))
        for event in (head, h11.Data(data=raw), h11.EndOfMessage()):
            self._writer.write(self._wire.send(event) or b"")
        await self._writer.drain()


async def run(server: Server, *, name: str) -> None:
    """Serve until SIGTERM or SIGINT; prints one line with the address once it listens."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with server:
        print(f"{name} listens on {server.url}", flush=True)
        await stopped.wait()


async def _answer_call(handler: Handler, call: Call) -> Answer | Silence:
    try:
        return await handler(call)
    except msgspec.DecodeError as wrong:
        return Answer(status=400, body={"error": "bad_body", "detail": str(wrong)})


def _call(request: h11.Request, query: str, parts: dict[str, str], body: bytes) -> Call:
    return Call(
        method=request.method.decode("ascii"),
        path=urlsplit(request.target.decode("ascii")).path,
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers={k.decode("ascii").lower(): v.decode("latin-1") for k, v in request.headers},
        parts=parts,
        body=body,
    )

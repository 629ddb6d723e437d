"""F5: who is slow, endless or huge is let go in time, over real sockets; nobody else notices."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from runtime.children import free_port
from runtime.embedded import Embedded

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """The API as it is served: Granian and all, `slow_after_s` seconds patient."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def resident_mib(self) -> float:
        """Of the process that serves: Granian's own only watches it."""
        listing = subprocess.run(
            ["ps", "-o", "rss=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        )
        return sum(int(size) for size in listing.stdout.split()) / 1024


async def serving(
    database_url: str, redis_url: str, data: Path, slow_after_s: int
) -> AsyncIterator[Server]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime", "--data", str(data), "serve", "--role", "api"],
        cwd=ROOT,
        env=os.environ
        | {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SMARTID_PORT": str(port),
            "SMARTID_SLOW_AFTER_S": str(slow_after_s),
        },
        stderr=subprocess.DEVNULL,
    )
    server = Server(process, port)
    try:
        async with httpx.AsyncClient(base_url=server.url) as client:
            for _ in range(300):
                try:
                    if (await client.get("/health/ready")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                assert process.poll() is None
                await asyncio.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture
async def server(database_url: str, servers: Embedded, tmp_path: Path) -> AsyncIterator[Server]:
    async for one in serving(database_url, servers.redis_url, tmp_path / "data", 1):
        yield one


@pytest.fixture
async def patient(database_url: str, servers: Embedded, tmp_path: Path) -> AsyncIterator[Server]:
    """With the settings it has when nothing is set."""
    async for one in serving(database_url, servers.redis_url, tmp_path / "data", 10):
        yield one


HEAD = b"POST /v1/mobile/intents HTTP/1.1\r\nhost: wallet.smartid.test\r\n"
SLOW_BODY = HEAD + b"content-length: 900\r\n\r\n{"
NAMED = b"POST /v1/support/sessions HTTP/1.1\r\nhost: w\r\ncontent-length: 900\r\n\r\n{"


async def held(port: int, first: bytes, drip: bytes, within_s: float) -> tuple[float, bytes]:
    """How long a connection that sends `first` and then a byte now and then is borne."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    answer = b""
    try:
        writer.write(first)
        async with asyncio.timeout(within_s):
            dripping = asyncio.create_task(dripped(writer, drip))
            try:
                while got := await reader.read(65536):
                    answer += got
            finally:
                dripping.cancel()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
    return time.monotonic() - began, answer


async def dripped(writer: asyncio.StreamWriter, drip: bytes) -> None:
    try:
        while drip:
            await asyncio.sleep(0.2)
            writer.write(drip)
            await writer.drain()
    except ConnectionError:
        pass


async def test_slow_heads_slow_bodies_and_silence_end_in_time(server: Server) -> None:
    heads = [held(server.port, b"", b"", 8), held(server.port, HEAD, b"a", 8)]
    bodies = [
        held(server.port, first, drip, 8) for first in (SLOW_BODY, NAMED) for drip in (b"", b" ")
    ]
    told = await asyncio.gather(*heads, *bodies)
    assert max(seconds for seconds, _ in told) < 5
    answered = [answer for _, answer in told[2:]]
    assert all(answer.startswith(b"HTTP/1.1 4") for answer in answered), answered
    # whoever names nobody is turned away at once; who may speak hears why
    assert any(b" 408 " in answer and b'"too_slow"' in answer for answer in answered)
    assert all(b"content-security-policy" in answer for answer in answered)


async def test_huge_bodies_heads_and_queries_are_refused_and_cost_no_memory(
    server: Server,
) -> None:
    """B6."""
    before = server.resident_mib()

    async def piece_by_piece() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" " * 2**20

    digits = b'{"login":' + b"9" * 10**6 + b"}"
    deep = b'{"login":' + b"[" * 10_000
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        for content in (b" " * 50 * 2**20, piece_by_piece(), digits, deep):
            try:
                answer = await client.post("/v1/support/sessions", content=content)
                assert 400 <= answer.status_code < 500, answer.text
            except httpx.TransportError:
                continue  # closed while it was still sending: refused all the same
        for query in ("&".join(f"p{n}=1" for n in range(10_000)), "q=" + "1" * 60_000):
            try:
                assert (await client.get(f"/health/live?{query[:60_000]}")).status_code == 413
            except httpx.TransportError:
                continue
    _, told = await held(
        server.port, b"GET /?q=" + b"1" * 10**6 + b" HTTP/1.1\r\nhost: w\r\n\r\n", b"", 8
    )
    assert told == b"" or told.startswith(b"HTTP/1.1 4")
    _, told = await held(server.port, HEAD + b"x: " + b"y" * 10**6 + b"\r\n\r\n", b"", 8)
    assert told == b"" or told.startswith(b"HTTP/1.1 4")
    assert server.resident_mib() - before < 20
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/health/live")).status_code == 200


@pytest.mark.long
async def test_a_thousand_slow_connections_are_gone_within_15_s_and_disturb_nobody(
    patient: Server,
) -> None:
    async with httpx.AsyncClient(base_url=patient.url, timeout=5) as client:

        async def others() -> list[float]:
            took = []
            for _ in range(60):
                began = time.monotonic()
                assert (await client.get("/health/live")).status_code == 200
                took.append(time.monotonic() - began)
                await asyncio.sleep(0.1)
            return took

        alone = sorted(await others())
        kinds = [(HEAD, b"a"), (SLOW_BODY, b" "), (NAMED, b" "), (b"", b"")]
        slow = [asyncio.create_task(held(patient.port, *kinds[n % 4], 20)) for n in range(1_000)]
        await asyncio.sleep(1)
        beside = sorted(await others())
        told = await asyncio.gather(*slow)
    print(f"p90 alone {alone[54] * 1000:.1f} ms, beside them {beside[54] * 1000:.1f} ms")
    assert max(seconds for seconds, _ in told) <= 15
    assert beside[54] < 0.5

"""The simulators' server: answers in turn on kept connections, may stay silent, stops cleanly."""

import asyncio
import json

import httpx
import pytest

from simulators.server import BODY_LIMIT_BYTES, Answer, Call, Route, Server, Silence


async def _echo(call: Call) -> Answer:
    body = call.json(dict[str, int]) if call.body else {}
    return Answer(body={"parts": call.parts, "query": call.query, "body": body})


async def _silent(call: Call) -> Silence:
    return Silence()


def _server(port: int = 0) -> Server:
    return Server(
        [
            Route(method="GET", path="/things/{name}", handler=_echo),
            Route(method="POST", path="/things/{name}", handler=_echo),
            Route(method="GET", path="/silence", handler=_silent),
        ],
        port=port,
    )


async def test_path_query_and_body_reach_the_handler() -> None:
    async with _server() as server, httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/things/a%20b?x=%E1%9E%80", json={"n": 1})
    assert answer.json() == {"parts": {"name": "a b"}, "query": {"x": "ក"}, "body": {"n": 1}}


async def test_one_connection_serves_requests_in_turn_even_when_they_are_sent_together() -> None:
    async with _server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url[-5:]))
        for name in ("one", "two", "three"):
            writer.write(f"GET /things/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        names = []
        for _ in range(3):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            names.append(json.loads(await reader.readexactly(length))["parts"]["name"])
        writer.close()
    assert names == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/things/a", 405), ("GET", "/things/a/b", 404)],
)
async def test_what_no_route_serves_is_answered_so(method: str, path: str, status: int) -> None:
    async with _server() as server, httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.request(method, path)).status_code == status


async def test_a_body_of_another_shape_is_a_400_and_the_connection_lives_on() -> None:
    async with _server() as server, httpx.AsyncClient(base_url=server.url) as client:
        bad = await client.post("/things/a", json={"n": "one"})
        garbage = await client.post("/things/a", content=b"{")
        good = await client.post("/things/a", json={"n": 1})
    assert [bad.status_code, garbage.status_code, good.status_code] == [400, 400, 200]


async def test_a_body_past_the_limit_is_a_413() -> None:
    async with _server() as server, httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/things/a", content=b"0" * (BODY_LIMIT_BYTES + 1))
    assert answer.status_code == 413


async def test_silence_lasts_until_the_caller_gives_up() -> None:
    async with _server() as server, httpx.AsyncClient(base_url=server.url) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/silence", timeout=0.1)


async def test_what_is_not_http_is_hung_up_on() -> None:
    async with _server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url[-5:]))
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert await reader.read() == b""
        writer.close()


async def test_stop_hangs_up_frees_the_port_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    server = _server()
    await server.start()
    client = httpx.AsyncClient(base_url=server.url)
    waiting = asyncio.create_task(client.get("/silence", timeout=5))
    await client.get("/things/kept-alive")
    await server.stop()
    with pytest.raises(httpx.RemoteProtocolError):
        await waiting
    await client.aclose()
    assert asyncio.all_tasks() == before
    async with _server(int(server.url[-5:])):
        pass


def test_it_refuses_to_listen_beyond_loopback() -> None:
    with pytest.raises(ValueError, match="loopback"):
        Server([], host="0.0.0.0")  # noqa: S104 - the very thing refused

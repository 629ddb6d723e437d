"""The express lane: requests of which every payment has two, past the middle of the framework.

Promise: an answer here is the answer the framework would have given, byte for byte but for the
order of headers: the same caller, the same strict body, the same problems, headers and metrics. The
handlers stay what is documented and take whatever is unusual: another method, a query. A quarter
of the API's time on payments was spent between the server and its handlers; here it is a lookup.

Who calls: the application frame; a door names what it serves this way in `EXPRESS`.
"""

import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Litestar
from litestar.plugins.prometheus import PrometheusConfig, PrometheusMiddleware
from litestar.types import HTTPScope, Receive, Scope, Send
from msgspec import Struct

from api.problems import PROBLEM_TYPE, Problem, headers_of, problem_of, problem_of_error
from api.security import HolderCaller
from api.security.callers import admitted
from api.security.headers import ALWAYS
from api.throttling import RouteClass
from api.wire import LARGEST_BODY, decoded
from wallet.outcomes import Reason, Refused

Headers = list[tuple[bytes, bytes]]
Act = Callable[[Litestar, HolderCaller, dict[str, str], Any], Awaitable[bytes]]

_log: Final = logging.getLogger("smartid.api")


class Stop(NamedTuple):
    """A POST of a holder that is served this way. `path` is a pattern whose named groups the act is
    given; `template` is the path as metrics know it."""

    path: re.Pattern[str]
    template: str
    body: type[Struct]
    status: int
    act: Act


class Express:
    """The stops of one application."""

    def __init__(self, app: Litestar, stops: Sequence[Stop], metrics: PrometheusConfig) -> None:
        self._app = app
        self._stops = [_Stop(stop, metrics) for stop in stops]

    def serving(self, scope: HTTPScope) -> "_Ride | None":
        """How this request is served here, or None when the framework is to serve it."""
        if scope["method"] != "POST" or scope["query_string"]:
            return None
        path = scope["path"]
        for stop in self._stops:
            match = stop.path.fullmatch(path)
            if match is not None:
                return _Ride(self._app, stop, match.groupdict())
        return None


class _Stop:
    def __init__(self, stop: Stop, metrics: PrometheusConfig) -> None:
        self.path = stop.path
        self.template = stop.template
        self.decoder = msgspec.json.Decoder(stop.body)
        self.status = stop.status
        self.act = stop.act
        self._metrics = PrometheusMiddleware(app=_nobody, config=metrics)
        self._app_name = metrics.app_name
        self._known: dict[int, tuple[Any, Any, Any]] = {}
        labels = self._labels(200)
        self.under_way = self._metrics.requests_in_progress(labels).labels(*labels.values())

    def count(self, status: int, seconds: float) -> None:
        """What the framework's own middleware counts, with its labels looked up once."""
        told = self._known.get(status)
        if told is None:
            labels = self._labels(status)
            failing = self._metrics.requests_error_count(labels) if status >= 500 else None
            told = self._known[status] = (
                self._metrics.request_count(labels).labels(*labels.values()),
                self._metrics.request_time(labels).labels(*labels.values()),
                failing and failing.labels(*labels.values()),
            )
        requests, times, errors = told
        requests.inc()
        times.observe(seconds)
        if errors is not None:
            errors.inc()

    def _labels(self, status: int) -> dict[str, str | int | float]:
        return {
            "method": "POST",
            "path": self.template,
            "status_code": status,
            "app_name": self._app_name,
        }


class _Ride:
    """One request on its way."""

    __slots__ = ("_app", "_stop", "_where")

    def __init__(self, app: Litestar, stop: _Stop, where: dict[str, str]) -> None:
        self._app = app
        self._stop = stop
        self._where = where

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        stop = self._stop
        began = time.perf_counter()
        stop.under_way.inc()
        status = stop.status
        try:
            try:
                answer = await self._answer(scope, receive)
                headers = _headers(_JSON, len(answer))
            except Exception as error:
                problem = problem_of_error(error) or self._defect(error)
                self._app.state.failures.saw(problem.code)
                status, answer, headers = _rendered(problem)
            start = {"type": "http.response.start", "status": status, "headers": headers}
            await send(start)  # type: ignore[arg-type] # a message is a plain dict
            await send({"type": "http.response.body", "body": answer, "more_body": False})
        finally:
            stop.under_way.dec()
            stop.count(status, time.perf_counter() - began)

    async def _answer(self, scope: HTTPScope, receive: Receive) -> bytes:
        caller = await admitted(self._app, scope, RouteClass.WRITE)
        body = decoded(self._stop.decoder, await _body(receive))
        return await self._stop.act(self._app, caller, self._where, body)

    def _defect(self, error: Exception) -> Problem:
        _log.error("POST %s failed", self._stop.template, exc_info=error)
        return problem_of(Reason.INTERNAL)


async def _body(receive: Receive) -> bytes:
    """The whole body. Refuses: TOO_LARGE."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(Reason.INVALID_REQUEST, field="body")
        piece = message.get("body", b"")
        size += len(piece)
        if size > LARGEST_BODY:
            raise Refused(Reason.TOO_LARGE)
        if not message.get("more_body", False):
            return b"".join([*pieces, piece]) if pieces else piece
        pieces.append(piece)


async def refuse(refused: Refused, send: Send) -> None:
    """Answer a request that is turned away before anybody looks at what it wants."""
    problem = problem_of_error(refused)
    assert problem is not None  # noqa: S101 - a refusal always has one
    status, body, headers = _rendered(problem)
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)  # type: ignore[arg-type] # a message is a plain dict
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _rendered(problem: Problem) -> tuple[int, bytes, Headers]:
    body = msgspec.json.encode(problem)
    own = [(name.encode(), value.encode()) for name, value in headers_of(problem).items()]
    return problem.status, body, [*_headers(PROBLEM_TYPE.encode(), len(body)), *own]


def _headers(kind: bytes, length: int) -> Headers:
    return [(b"content-type", kind), (b"content-length", b"%d" % length), *ALWAYS]


async def _nobody(scope: Scope, receive: Receive, send: Send) -> None:
    """What the metrics' middleware is wrapped around here: it is only asked for its counters."""


_JSON: Final = b"application/json"

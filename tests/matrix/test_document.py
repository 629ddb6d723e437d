"""The API answers as its document says, whatever it is asked and whoever asks: no 500, no status,
content type or body that is not described, and no refusal that tells of the inside.

Requests are made by schemathesis from the document itself: right ones about things that are there,
and ones wrong in one way each. They are drawn with a fixed seed and sent in this process; a stream
is not opened. Each is asked by a stranger, by some who belong there, of every kind that does, and
by somebody who does not; all of the matrix's callers take their turns. In the long form more are
drawn, and each is asked by all who belong there.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count, groupby
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.architecture.test_surface import DOCUMENT
from tests.matrix.callers import Asked, Caller
from tests.matrix.furniture import Furniture
from tests.matrix.test_matrix import ROUTES, Matrix, Route

SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ENDING = ("disable", "device-revocations", "phone-numbers", "pairings/confirm", "sessions/current")
"""Asked of the owner, these end what the others need; the matrix asks them at its end."""

INSIDE = re.compile(
    rb"Traceback|\.py\b|line [0-9]+, in|asyncpg|msgspec|litestar|uvicorn|granian|redis-py|python/"
    rb"|postgresql|SQLSTATE|\bselect\b.+\bfrom\b|\binsert into\b|\bupdate\b.+\bset\b"
    rb"|/(usr|home|work|tmp|app|opt)/|0x[0-9a-f]{8}",
    re.IGNORECASE,
)
"""B17: what a refusal would give away of code, statements, versions or paths."""


def drawn(operation: Any, mode: GenerationMode, times: int, **fixed: Any) -> list[Any]:
    """So many requests of an operation, the same in every run."""
    cases: list[Any] = []

    @settings(
        max_examples=times,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode, **fixed))
    def draw(case: Any) -> None:
        cases.append(case)

    try:
        draw()
    except Unsatisfiable:
        return []  # an operation without anything that could be wrong
    return cases


class Asking:
    """Every operation asked as the document describes it. `everybody`: by all who may, each time;
    else by two of them in turn, and one of each kind."""

    def __init__(self, furniture: Furniture, *, everybody: bool = False) -> None:
        self._matrix = Matrix(furniture)
        self._routes = {route.name: route for route in ROUTES}
        self._everybody = everybody
        self._turns = count()
        self.asked: Counter[str] = Counter()

    async def wrong(self, times: int) -> list[str]:
        found: list[str] = []
        described: Any = SCHEMA.get_all_operations()
        for one in described:
            operation = one.ok()
            name = f"{operation.method.lower()} {operation.path}"
            for case in self._cases(name, operation, times):
                for caller in self._callers(name):
                    found += await self._told(name, case, caller)
        return found

    def _callers(self, name: str) -> list[Caller]:
        route, everyone = self._routes.get(name), self._matrix.callers
        strangers = [one for one in everyone if one.scheme is None]
        if route is None or name.endswith("/stream") or route.path.endswith(ENDING):
            return self._turn(strangers, 1)
        allowed = [one for one in everyone if self._matrix.may(route, one)]
        others = [one for one in everyone if one.scheme and one not in allowed]
        chosen = allowed if self._everybody else self._of_each_kind(allowed)
        return [*self._turn(strangers, 1), *chosen, *self._turn(others, 1)]

    def _of_each_kind(self, allowed: list[Caller]) -> list[Caller]:
        kinds = [list(of_kind) for _, of_kind in groupby(allowed, key=lambda one: one.scheme)]
        return [
            one for of_kind in kinds for one in self._turn(of_kind, 2 if len(kinds) == 1 else 1)
        ]

    def _turn(self, callers: Sequence[Caller], number: int) -> list[Caller]:
        """So many of them, others each time."""
        first = next(self._turns)
        return [callers[(first + n) % len(callers)] for n in range(min(number, len(callers)))]

    def _cases(self, name: str, operation: Any, times: int) -> Iterator[Any]:
        route = self._routes.get(name)
        own = {} if route is None else self._places(route)
        yield from drawn(operation, GenerationMode.POSITIVE, times, path_parameters=own or None)
        yield from drawn(operation, GenerationMode.NEGATIVE, times)

    def _places(self, route: Route) -> dict[str, str]:
        return {place: self._matrix.placed(route, place, own=True) for place in route.places}

    async def _told(self, name: str, case: Any, caller: Caller) -> list[str]:
        self.asked[caller.name] += 1
        kwargs = case.as_transport_kwargs(base_url="https://wallet.smartid.test")
        sent = httpx.Request(
            kwargs["method"],
            kwargs["url"],
            params=kwargs.get("params"),
            headers={k: v.encode("latin-1") for k, v in kwargs.get("headers", {}).items()},
            content=kwargs.get("data"),
            json=kwargs.get("json"),
        )
        answer = await caller.ask(
            Asked(
                method=sent.method,
                path=sent.url.raw_path.decode(),
                body=sent.content or None,
                kind=sent.headers.get("content-type"),
                keyed="idempotency-key" in sent.headers,
            )
        )
        answer.request = sent
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as error:
            return [f"{name}, {caller}: {answer.status_code} {_first_line(error)}"]
        if answer.is_error and (given := INSIDE.search(answer.content)):
            return [f"{name}, {caller}: {answer.status_code} tells {given[0]!r}"]
        return []


def _first_line(error: FailureGroup) -> str:
    return "; ".join(f"{type(one).__name__}: {one}"[:200] for one in error.exceptions)


async def test_every_answer_is_as_described(furniture: Furniture) -> None:
    asking = Asking(furniture)
    wrong = await asking.wrong(1)
    assert not wrong, "\n" + "\n".join(wrong)
    assert asking.asked.total() > 900
    assert set(asking.asked) == {one.name for one in furniture.callers}, "somebody never asked"


@pytest.mark.long
async def test_every_answer_is_as_described_at_length(furniture: Furniture) -> None:
    wrong = await Asking(furniture, everybody=True).wrong(25)
    assert not wrong, "\n" + "\n".join(sorted(set(wrong)))

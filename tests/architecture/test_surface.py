"""The surface of the API: every operation is described, guarded and exemplified, and a change of
any of them is seen in review.

After a wanted change: python -m tests.architecture.test_surface > tests/architecture/surface.txt
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import pytest
from litestar import Litestar

from api import description
from api.app import create_app
from api.resources import Resources

SURFACE = Path(__file__).with_name("surface.txt")
WRITES = {"post", "put", "patch", "delete"}

OPEN = {
    "get /health/live",
    "get /health/ready",
    "post /v1/mobile/pairings",
    "get /v1/mobile/pairings/{pairing_id}",
    "post /v1/mobile/pairings/{pairing_id}/complete",
    "post /v1/mobile/login-challenges",
    "post /v1/mobile/sessions",
    "post /v1/agency/sessions",
    "post /v1/bank/sessions",
    "post /v1/support/sessions",
    "post /v1/admin/sessions",
    "post /v1/callbacks/operators",
}
"""What a stranger may ask: how the house is, to sign in, to begin pairing a phone; to call
back, where the message's own signature says who does."""

WITHOUT_KEY = {
    # Intents have an id of their own and at most one effect (docs/decisions/0004 and 0013).
    "post /v1/mobile/intents",
    "post /v1/mobile/intents/{intent_id}/authorise",
    "post /v1/mobile/intents/{intent_id}/code",
    # Signing in and out (0004): a stored answer would be a stored token.
    "post /v1/mobile/login-challenges",
    "post /v1/mobile/sessions",
    "delete /v1/mobile/sessions/current",
    # Put twice it is there once, taken back twice it is gone.
    "put /v1/mobile/push-address",
    "delete /v1/mobile/push-address",
    *(
        f"{route.replace(' ', f' /v1/{door}', 1)}"
        for door in ("agency", "bank", "support", "admin")
        for route in (
            "post /sessions",
            "delete /sessions/current",
            "post /sessions/current/step-up",
            "post /sessions/current/passkey",
            "post /sessions/current/passkey/options",
            "post /passkeys",
            "post /passkeys/options",
        )
    ),
    # A look, asked in a body because a telephone number is nothing for an address.
    "post /v1/support/search",
    # Each look is a look, written down each time; a stored answer would be a stored number.
    "post /v1/support/people/{holder_id}/unmask",
    "delete /v1/mobile/sessions/{session_id}",  # what is ended stays ended
    # A provider's message has an id of its own, which is spent once.
    "post /v1/callbacks/operators",
    # Writes nothing: a code is too long, and nobody else's business, for an address.
    "post /v1/mobile/qr/decode",
}


class Operation(NamedTuple):
    name: str
    told: dict[str, Any]

    @property
    def writes(self) -> bool:
        return self.name.split()[0] in WRITES

    @property
    def takes_key(self) -> bool:
        return any(p["name"] == "Idempotency-Key" for p in self.told.get("parameters", ()))

    @property
    def callers(self) -> str:
        return ",".join(name for one in self.told.get("security") or () for name in one) or "open"

    def bodies(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The request's and the successful answers' contents."""
        parts = {"request": self.told.get("requestBody", {}), **self.told["responses"]}
        for where, part in parts.items():
            if where[0] not in "45":
                for content in part.get("content", {}).values():
                    yield f"{self.name}, {where}", content


def application() -> Litestar:
    """The whole API on nothing: only described, never called."""
    nothing = cast(Any, None)
    names = ("database", "redis", "works", "teller", "clock", "vault", "throttle", "hashing")
    return create_app(Resources(**dict.fromkeys(names, nothing)))


def described() -> dict[str, Any]:
    app = application()
    plain = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    return description.completed(plain, description.open_operations(app))


FOR_MACHINES = {
    "get /v1/agency/applications",
    "get /v1/agency/funnel",
    "get /v1/bank/days",
    "get /v1/bank/days/{day}/trial-balance",
    "get /v1/bank/funnel",
}
"""Also open to the house's own signed systems: reads without a holder's data, or of own people."""

DOCUMENT = described()
OPERATIONS = [
    Operation(f"{method} {path}", told)
    for path, item in DOCUMENT["paths"].items()
    for method, told in item.items()
]


def surface() -> str:
    """One line for each operation: method, path, who may call, whether it takes a key, summary."""
    lines = [
        f"{method.upper():6} {path}  [{one.callers}{', key' if one.takes_key else ''}]"
        f"  {one.told['summary']}"
        for one in OPERATIONS
        for method, path in [one.name.split(" ", 1)]
    ]
    return "\n".join(sorted(lines, key=lambda line: (line.split()[1], line))) + "\n"


def test_the_surface_is_the_one_that_was_reviewed() -> None:
    assert surface() == SURFACE.read_text(encoding="utf-8"), __doc__


def test_the_document_is_openapi_31() -> None:
    assert re.fullmatch(r"3\.1\.\d+", DOCUMENT["openapi"])


def test_every_operation_has_a_summary_and_a_name_of_its_own() -> None:
    names = [one.told["operationId"] for one in OPERATIONS]
    assert len(set(names)) == len(names)
    summaries = {one.name: one.told["summary"] for one in OPERATIONS}
    assert not [name for name, summary in summaries.items() if not 5 < len(summary) <= 80]
    # The summary is written, not made of the handler's name.
    handlers = {
        handler.handler_name.rpartition(".")[2].replace("_", " ").title()
        for route in application().routes
        for handler in getattr(route, "route_handlers", ())
    }
    assert not handlers & {text for text in summaries.values() if " " in text}


def test_every_operation_says_who_may_call_it_or_is_named_open() -> None:
    assert {one.name for one in OPERATIONS if one.callers == "open"} == OPEN
    schemes = set(DOCUMENT["components"]["securitySchemes"])
    told = {caller for one in OPERATIONS for caller in one.callers.split(",")}
    assert told <= schemes | {"open"}


UNDESCRIBED = {"/docs", "/docs/start.js", "/docs/assets/{name}", "/metrics", "/openapi.json"}
"""The pages about the API, and what a collector reads: the edge keeps them inside."""


def test_no_route_is_served_that_is_not_described() -> None:
    """B20: what the document leaves out, no matrix would ask for."""
    served = {
        f"{method} {re.sub(r':[a-z]+}', '}', route.path)}".lower()
        for route in application().routes
        for method in getattr(route, "methods", set()) - {"OPTIONS", "HEAD"}
    }
    described = {one.name.lower() for one in OPERATIONS}
    hidden = {name.split()[1] for name in served - described}
    assert hidden <= UNDESCRIBED
    assert len(served) >= len(described) > 100


def test_a_door_is_for_its_own_callers() -> None:
    doors = {
        "mobile": "holder",
        "atm": "atm",
        "agency": "staff",
        "bank": "staff",
        "support": "staff",
        "admin": "staff",
    }
    for one in OPERATIONS:
        if one.name not in OPEN:
            door = doors[one.name.split("/")[2]]
            assert one.callers == (f"{door},machine" if one.name in FOR_MACHINES else door)


def test_every_write_demands_a_key_but_the_exempted() -> None:
    without = {one.name for one in OPERATIONS if one.writes and not one.takes_key}
    assert without == WITHOUT_KEY
    assert not [one.name for one in OPERATIONS if one.takes_key and not one.writes]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_body_has_an_example_that_says_something(operation: Operation) -> None:
    for where, content in operation.bodies():
        examples = [content[k] for k in ("example", "examples") if k in content]
        assert examples or "schema" not in content, where
        assert "text" not in list(_leaves(examples)), f"{where}: {examples}"


def test_an_example_of_a_request_is_taken_by_its_type() -> None:
    taken = 0
    for route in application().routes:
        for handler in getattr(route, "route_handlers", ()):
            field = getattr(handler, "parsed_data_field", None)
            path = getattr(route, "path_format", "")
            if field is None or not path.startswith("/v1/"):
                continue
            for method in handler.http_methods & {"POST", "PUT", "PATCH"}:
                body = DOCUMENT["paths"][path][method.lower()]["requestBody"]
                for content in body["content"].values():
                    msgspec.json.decode(
                        msgspec.json.encode(content["example"]), type=field.annotation
                    )
                    taken += 1
    assert taken > 15


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


IN_ADDRESSES = {
    # our own ids, and what names no person
    "account_id", "card_id", "case_id", "change_id", "device_id", "dispute_id", "emergency_id",
    "holder_id", "intent_id", "pairing_id", "purchase_id", "refund_id", "request_id", "run_id",
    "session_id", "sheet_id", "smart_id", "staff_id", "token_id", "topup_id", "transfer_id",
    "version_id", "request_key", "number", "day", "file", "key",
    # half of a claim: of no use without the phone that signs, its digits and a code (0048)
    "reference",
    # how much, from where, what sort
    "cursor", "limit", "state", "open", "bank", "from", "to", "currency", "kind", "function",
    "month", "since", "until", "language", "size", "before", "after", "at", "days", "operator",
}  # fmt: skip
"""Every name that stands in a path or a query. A new one is reviewed here: no PIN, code, token,
card's number or telephone goes into an address, which proxies and browsers keep."""


def test_no_route_takes_a_secret_in_its_address() -> None:
    used = {
        parameter["name"]
        for one in OPERATIONS
        for parameter in one.told.get("parameters", [])
        if parameter["in"] in ("path", "query")
    }
    assert used - IN_ADDRESSES == set(), "in an address: is it an id of ours, and tells nothing?"


if __name__ == "__main__":
    print(surface(), end="")

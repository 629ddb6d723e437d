"""Who may do what to whose, for every operation there is: no hole, and a new one covered unasked.

The document names the routes, who may call them and an example of each body; the roles name what
staff may do; `NEEDS` says which permission a route of the staff asks for. From these it follows
what every caller must hear about their own thing, somebody else's and nobody's:

    not known, or of another kind        401 or 403, whatever they name
    staff without the permission         403 `forbidden`
    somebody else's thing                404, word for word what a thing that is not there gets
    their own                            anything but these: it was reached

and that all those refusals together left every table as it was. At the ATM's door, where any bank's
machine may name any card, the answers are one and the same. A route whose places or whose
permission nobody has named here fails the run with a sentence saying so.
"""

import re
from collections.abc import Iterator
from itertools import count
from typing import Any, Final, NamedTuple
from uuid import uuid4

import httpx
import pytest

from tests.architecture.test_surface import OPERATIONS, Operation
from tests.matrix.callers import Asked, Caller
from tests.matrix.furniture import Furniture, fingerprint, nobodys

NEEDS: Final = {
    "post /v1/admin/role-changes/{change_id}/approve": "staff.approve",
    "get /v1/admin/roles": "staff.change",
    "get /v1/admin/staff": "staff.change",
    "post /v1/admin/staff/{staff_id}/disable": "staff.change",
    "post /v1/admin/staff/{staff_id}/roles": "staff.change",
    "post /v1/agency/people/leaving": "leaving.report",
    "post /v1/agency/salary-files": "salary.send",
    "post /v1/agency/salary-files/{run_id}/approve": "salary.approve",
    "post /v1/agency/salary-files/{run_id}/recall": "",
    "post /v1/bank/controls": "controls.propose",
    "post /v1/bank/controls/versions/{number}/bring-back": "controls.propose",
    "get /v1/bank/controls/{version_id}/history": "",
    "post /v1/bank/controls/{version_id}/promote": "controls.approve",
    "post /v1/bank/controls/{version_id}/promotion": "controls.propose",
    "post /v1/bank/controls/{version_id}/shadow": "controls.propose",
    "post /v1/bank/controls/{version_id}/withdraw": "controls.propose",
    "post /v1/bank/device-revocations": "device.revoke",
    "post /v1/bank/fees": "terms.propose",
    "post /v1/bank/limits": "terms.propose",
    "post /v1/bank/rates": "terms.propose",
    "post /v1/bank/terms/{sheet_id}/approve": "terms.approve",
    "post /v1/bank/pairing-requests": "pairing.ask",
    "post /v1/bank/pairing-requests/{pairing_id}/approve": "pairing.approve",
    "post /v1/bank/phone-number-changes": "number.ask",
    "post /v1/bank/phone-number-changes/{change_id}/approve": "number.approve",
    "get /v1/bank/people/{holder_id}/export": "person.export",
    "post /v1/bank/people/{holder_id}/tier": "operations.ask",
    "post /v1/bank/requests/{request_id}/approve": "operations.approve",
    "post /v1/bank/shortfalls/{case_id}/settle": "operations.ask",
    "post /v1/bank/people/{holder_id}/erasure": "erasure.ask",
    "post /v1/bank/people/{holder_id}/erasure/approve": "erasure.approve",
    "post /v1/bank/smart-ids/{smart_id}/freeze": "",
    "post /v1/bank/smart-ids/{smart_id}/unfreeze": "operations.approve",
    "get /v1/support/atm-cases": "case.work",
    "post /v1/support/cards/{card_id}/freeze": "case.work",
    "post /v1/support/cards/{card_id}/unfreeze": "refund.approve",
    "get /v1/support/disputes": "case.work",
    "get /v1/support/disputes/{dispute_id}": "case.work",
    "post /v1/support/disputes/{dispute_id}/close": "case.work",
    "post /v1/support/disputes/{dispute_id}/refunds": "refund.ask",
    "post /v1/support/refunds/{refund_id}/approve": "refund.approve",
    "get /v1/support/emergency-access": "emergency.review",
    "post /v1/support/emergency-access": "emergency.open",
    "post /v1/support/emergency-access/{emergency_id}/review": "emergency.review",
    "get /v1/support/holders/{holder_id}/purchases": "case.work",
    "post /v1/support/people/{holder_id}/unmask": "holder.unmask",
    "get /v1/support/purchase-cases": "case.work",
    "post /v1/support/purchase-cases/{case_id}/approve": "refund.approve",
    "post /v1/support/purchase-cases/{case_id}/close": "case.work",
    "get /v1/support/purchases": "case.work",
    "get /v1/support/purchases/{purchase_id}": "case.work",
    "post /v1/support/search": "case.work",
}
"""The permission each route of the staff asks for; the empty one: whoever works in that house."""

OWN_SESSION: Final = re.compile(r"/v1/\w+/(sessions/current|passkeys)")
"""Signed in, one's own session and keys are one's own."""

LITERAL: Final = {
    "day": "2026-01-11",
    "number": "1",
    "/v1/mobile/cards/{card_id}/{file}": "face.svg",
    "/v1/mobile/accounts/{account_id}/statements/{file}": "2026-01.csv",
}
"""Places of a path that hold no object's id."""

OF_OBJECTS: Final = {"smart_id_number", "transaction_id", "staff_no"}
"""Fields of a body that name an object."""

REACHED: Final = {
    "four_eyes", "signature_invalid", "otp_wrong", "otp_required", "illegal_transition", "conflict",
    "wrong_code",
}  # fmt: skip
"""Refusals and declines that only who reached the object hears."""

QUERIES: Final = {
    "get /v1/support/purchases": "?key=CSS%7CACLB%7CT0001%7C601200000001%7C000001%7C2026-01-12",
}
"""What a route needs to be asked at all."""

BODIES: Final = {
    "post /v1/mobile/intents": {"kind": "totp.enrol", "fields": {}},
    "post /v1/atm/cards": {
        "smart_id_number": "",
        "pin_verified": True,
        "rrn": "",
        "stan": "",
        "local_date": "2026-01-12",
    },
}
"""Where the example is no whole request, or names another's number."""

NOT_REACHED: Final = {
    "get /v1/bank/days/{day}/trial-balance": "no day has been closed",
}
"""Where the owner has nothing either, and why."""

NEIGHBOURS: Final = {"bank pairing_id", "case_number", "local_date", "bank account_id"}
"""What stands in `own` and is not the holder's alone."""

WRITTEN: Final = {"public.sessions", "public.staff_sessions", "public.machine_nonces"}
"""When a session was last used, and that a signature was: whatever is answered."""


class Route(NamedTuple):
    operation: Operation

    @property
    def name(self) -> str:
        return self.operation.name

    @property
    def method(self) -> str:
        return self.name.split()[0].upper()

    @property
    def path(self) -> str:
        return self.name.split()[1]

    @property
    def door(self) -> str:
        return self.path.split("/")[2]

    @property
    def schemes(self) -> set[str]:
        return set(self.operation.callers.split(","))

    @property
    def places(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def body(self) -> tuple[str, Any] | None:
        content = self.operation.told.get("requestBody", {}).get("content", {})
        for kind, told in content.items():
            return kind, told["example"]
        return None

    @property
    def own_session(self) -> bool:
        return OWN_SESSION.match(self.path) is not None

    def needs(self) -> str:
        """The permission asked for. Fails for a write of the staff that nobody has judged."""
        if self.own_session or self.method == "GET":
            return NEEDS.get(self.name, "")
        if self.name not in NEEDS:
            pytest.fail(f"{self.name}: say in NEEDS which permission it asks for")
        return NEEDS[self.name]


ROUTES: Final = [Route(one) for one in OPERATIONS if one.callers != "open"]


class Matrix:
    """Routes, callers and things brought together."""

    def __init__(self, furniture: Furniture) -> None:
        self._own = furniture.own
        self._number = furniture.smart_id_number
        self._owners = furniture.owners
        self.callers = furniture.callers
        self._numbers = count(700_000)

    def may(self, route: Route, caller: Caller) -> bool:
        """Whether this kind of caller belongs at this route at all."""
        return caller.scheme in route.schemes and caller.door == route.door

    def lacks(self, route: Route, caller: Caller) -> bool:
        needed = route.needs() if caller.scheme == "staff" else ""
        return bool(needed) and needed not in caller.permissions

    def owns(self, route: Route, caller: Caller) -> bool:
        return caller.realm == self._owners[route.door] or not self._owners[route.door]

    def foreign(self, route: Route, caller: Caller) -> bool:
        """Whether who may ask this is asked to name somebody else's thing."""
        allowed = self.may(route, caller) and not self.lacks(route, caller)
        return allowed and not self.owns(route, caller) and self.names_objects(route)

    def names_objects(self, route: Route) -> bool:
        """Whether a request of this route says which thing it is about."""
        body = route.body
        fields = set(body[1]) if body and isinstance(body[1], dict) else set()
        return any(not self._literal(route, place) for place in route.places) or bool(
            fields & OF_OBJECTS
        )

    def _literal(self, route: Route, place: str) -> str | None:
        return LITERAL.get(place) or LITERAL.get(route.path if place == "file" else "")

    def asked(self, route: Route, *, own: bool) -> Asked:
        """The request about the owner's thing, or about one that is nobody's."""
        path = route.path
        for place in route.places:
            path = path.replace(f"{{{place}}}", self.placed(route, place, own=own))
        path += QUERIES.get(route.name, "")
        kind, body = route.body or (None, None)
        body = BODIES.get(route.name, body)
        if isinstance(body, dict):
            ids = dict(self._own) if own else {}
            ids["smart_id_number"] = self._number if own else "9116010000123456"
            if not (own and route.path.endswith(("/confirm", "/reverse"))):
                ids |= {"rrn": f"{next(self._numbers):012d}", "stan": f"{next(self._numbers):06d}"}
            ids["staff_no"] = self._own["staff_no"] if own else "0099999999"
            ids["transaction_id"] = self._own["transfer_id"] if own else str(uuid4())
            body = {name: ids.get(name, value) for name, value in body.items()}
        keyed = route.operation.takes_key
        return Asked(method=route.method, path=path, body=body, kind=kind, keyed=keyed)

    def placed(self, route: Route, place: str, *, own: bool) -> str:
        """What stands in a place of the path."""
        literal = self._literal(route, place)
        if literal is not None:
            return literal
        found = self._own.get(f"{route.door} {place}") or self._own.get(place)
        if found is None:
            pytest.fail(f"{route.name}: furnish an object for its {place}, or name it LITERAL")
        return found if own else nobodys(place, found)


def heard(answer: httpx.Response) -> tuple[int, str]:
    """Status and code."""
    problem = answer.headers.get("content-type", "").startswith("application/problem+json")
    return answer.status_code, answer.json()["code"] if problem else ""


async def test_who_may_do_what_to_whose(furniture: Furniture, database_url: str) -> None:
    matrix = Matrix(furniture)
    wrong: list[str] = []
    before = await fingerprint(database_url)
    for route, caller in _all(matrix):
        if not matrix.may(route, caller):
            wrong += await _shut(matrix, route, caller)
        elif matrix.lacks(route, caller):
            wrong += await _forbidden(matrix, route, caller)
        elif matrix.foreign(route, caller) and route.door != "atm":
            wrong += await _as_good_as_none(matrix, route, caller)
    after = await fingerprint(database_url)
    wrong += [f"{table} was written by a refusal" for table in _changed(before, after)]
    for route, caller in _all(matrix):
        if matrix.foreign(route, caller) and route.door == "atm":
            wrong += await _told_apart_by_nothing(matrix, route, caller)
        elif matrix.may(route, caller) and not matrix.owns(route, caller):
            wrong += await _nothing_of_the_owners(matrix, furniture, route, caller)
    for route in sorted(ROUTES, key=_gentle_first):
        if not (route.own_session or route.name in NOT_REACHED):
            wrong += await _reached(matrix, route)
    assert not wrong, "\n" + "\n".join(wrong)


def _all(matrix: Matrix) -> Iterator[tuple[Route, Caller]]:
    for route in ROUTES:
        for caller in matrix.callers:
            yield route, caller


def _gentle_first(route: Route) -> tuple[int, bool, str]:
    """Reads, then writes in the order of their steps, then what ends something, a card before the
    Smart ID it hangs on, and the holder's phone and session at last."""
    path = route.path.replace("/promotion", "/shadow/1").replace("/promote", "/shadow/2")
    ends = [rank for rank, ending in enumerate(_ENDINGS, 1) if re.search(ending, route.path)]
    ended = 3 if route.method == "DELETE" else max(ends, default=0)
    return ended, route.method != "GET", path


_ENDINGS: Final = (
    "/(delete|close|disable|withdraw|recall|freeze)$",
    "/smart-id/freeze$",
    "^$",  # a session, by DELETE
    "/(device-revocations|phone-numbers|confirm|approve)$",
    "/(leaving|erasure|erasure/approve)$",
)


async def _shut(matrix: Matrix, route: Route, caller: Caller) -> list[str]:
    own = heard(await caller.ask(matrix.asked(route, own=True)))
    none = heard(await caller.ask(matrix.asked(route, own=False))) if not caller.scheme else own
    right = own == none and own[0] in (401, 403)
    return [] if right else [f"{route.name}, {caller}: not shut, {own} and {none}"]


async def _forbidden(matrix: Matrix, route: Route, caller: Caller) -> list[str]:
    own = heard(await caller.ask(matrix.asked(route, own=True)))
    none = heard(await caller.ask(matrix.asked(route, own=False)))
    right = own == none == (403, "forbidden")
    return [] if right else [f"{route.name}, {caller}: not forbidden, {own} and {none}"]


async def _as_good_as_none(matrix: Matrix, route: Route, caller: Caller) -> list[str]:
    own = await caller.ask(matrix.asked(route, own=True))
    none = await caller.ask(matrix.asked(route, own=False))
    right = heard(own) == heard(none) and own.status_code == 404 and own.content == none.content
    if right:
        return []
    return [f"{route.name}, {caller}: somebody else's is {heard(own)}, nobody's {heard(none)}"]


async def _told_apart_by_nothing(matrix: Matrix, route: Route, caller: Caller) -> list[str]:
    """A machine of another bank, which may name any card there is: one screen, whoever's it is. (A
    reversal of what was never asked is taken, and stands in its place.)"""
    own = heard(await caller.ask(matrix.asked(route, own=True)))
    none = heard(await caller.ask(matrix.asked(route, own=False)))
    right = own == none and (own[0] in (403, 404) or route.path.endswith("/reverse"))
    return [] if right else [f"{route.name}, {caller}: told apart, {own} and {none}"]


async def _nothing_of_the_owners(
    matrix: Matrix, furniture: Furniture, route: Route, caller: Caller
) -> list[str]:
    """What is theirs to read holds nothing that is the owner's."""
    if route.method != "GET" or matrix.names_objects(route):
        return []
    text = (await caller.ask(matrix.asked(route, own=True))).text
    kept = [
        place
        for place, one in furniture.own.items()
        if place not in NEIGHBOURS and len(one) > 8 and one in text
    ]
    return [f"{route.name}, {caller}: shows the owner's {', '.join(kept)}"] if kept else []


async def _reached(matrix: Matrix, route: Route) -> list[str]:
    """Somebody whose thing it is comes to it."""
    told = []
    for caller in matrix.callers:
        allowed = matrix.may(route, caller) and not matrix.lacks(route, caller)
        if allowed and matrix.owns(route, caller):
            status, code = heard(await caller.ask(matrix.asked(route, own=True)))
            if status < 400 or code in REACHED or status in (409, 422, 402):
                return []
            told.append(f"{caller} {status} {code}")
    return [f"{route.name}: reached by nobody: {', '.join(told)}"]


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [
        table
        for table, state in before.items()
        if after.get(table) != state and table not in WRITTEN
    ]

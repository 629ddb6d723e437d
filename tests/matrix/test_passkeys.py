"""Nobody approves anything without a passkey shown just now: at every route there is that asks for
such a permission, by every member of staff who has it.

The routes follow from the document and `NEEDS`, as the matrix's do, so a new one is asked unasked.
Without the passkey a right code of the authenticator in session and body opens none of them, and
leaves every table as it was.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from tests.desk import EVERYONE
from tests.matrix.callers import Caller
from tests.matrix.furniture import Furniture, fingerprint
from tests.matrix.test_matrix import ROUTES, WRITTEN, Matrix, Route, heard
from wallet.access.staff_sessions import PROOF_LASTS

APPROVING: Final = re.compile(r"\.(approve|review)$|^staff\.")
"""Permissions of who agrees to what another asked for, or changes who may."""

AGREEING: Final = re.compile(r"/(approve|promote|review|unfreeze)$")
"""What such a route ends in; none of the staff's may ask for another permission than those."""

OF_STAFF: Final = [one for one in ROUTES if "staff" in one.schemes and not one.own_session]
CODED: Final = "/sessions/current/step-up"


class Approvers:
    """Whoever may approve something, in sessions that a passkey did or did not open."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture
        self._matrix = Matrix(furniture)
        self.approvers = [
            one for one in furniture.callers if any(map(APPROVING.search, one.permissions))
        ]

    def _later(self) -> None:
        self._furniture.clock.advance(timedelta(seconds=31))

    async def signed_in(self, *, passkey: bool) -> list[Caller]:
        """Everybody anew, by passphrase and code, and by passkey besides."""
        self._later()
        desk, opened = self._furniture.desk, []
        for one in self.approvers:
            token = (await desk.sign_in(one.name)).token.reveal()
            if passkey:
                token = (await desk.show_passkey(one.name, token)).token.reveal()
            opened.append(self._session(one, desk.headers(token)))
        return opened

    async def with_a_fresh_code(self, sessions: list[Caller]) -> list[Caller]:
        """The same sessions under the new ids that a right code gives them."""
        self._later()
        desk, client, proven = self._furniture.desk, self._furniture.client, []
        for one in sessions:
            answer = await client.post(
                f"/v1/{one.door}{CODED}", json={"totp": desk.code()}, headers=one.headers
            )
            assert answer.status_code == 200, answer.text
            cookie = answer.headers["set-cookie"].partition(";")[0]
            client.cookies.clear()
            proven.append(self._session(one, desk.headers(cookie.partition("=")[2])))
        self._later()
        return proven

    def _session(self, of: Caller, headers: dict[str, str]) -> Caller:
        return Caller(
            of.client, of.name, "staff", door=of.door, realm=of.realm,
            permissions=of.permissions, headers=headers,
        )  # fmt: skip

    async def heard(
        self, sessions: list[Caller], wanted: Callable[[Route], bool]
    ) -> dict[tuple[str, str], tuple[int, str]]:
        """What each hears at each of these routes they have the permission for, the code of this
        moment in the body where one belongs."""
        told = {}
        for route, caller in self._of(sessions, wanted):
            asked = self._matrix.asked(route, own=True)
            if isinstance(asked.body, dict) and "totp" in asked.body:
                asked.body["totp"] = self._furniture.desk.code()
            told[route.name, caller.name] = heard(await caller.ask(asked))
        return told

    def _of(
        self, sessions: list[Caller], wanted: Callable[[Route], bool]
    ) -> Iterator[tuple[Route, Caller]]:
        for route in filter(wanted, OF_STAFF):
            for caller in sessions:
                if self._matrix.may(route, caller) and not self._matrix.lacks(route, caller):
                    yield route, caller


def approves(route: Route) -> bool:
    return APPROVING.search(route.needs()) is not None


def test_every_route_that_agrees_asks_for_a_permission_to_and_is_for_people_alone() -> None:
    agreeing = [one for one in OF_STAFF if AGREEING.search(one.path)]
    assert len(agreeing) >= 12
    assert [one.name for one in agreeing if not approves(one)] == []
    assert [one.name for one in OF_STAFF if approves(one) and one.schemes != {"staff"}] == []


async def test_nobody_approves_without_a_passkey_wherever_there_is_something_to_approve(
    furniture: Furniture, database_url: str
) -> None:
    everybody = Approvers(furniture)
    assert {EVERYONE[one.name].kind for one in everybody.approvers} == {
        one.kind for one in EVERYONE.values()
    }
    coded = await everybody.with_a_fresh_code(await everybody.signed_in(passkey=False))
    before = await fingerprint(database_url)
    told = await everybody.heard(coded, lambda _: True)
    assert {name for name, _ in told} >= {one.name for one in OF_STAFF if approves(one)}
    assert {one: answer for one, answer in told.items() if answer != NO_PASSKEY} == {}
    assert await _changed(database_url, before) == []

    proven = await everybody.signed_in(passkey=True)
    furniture.clock.advance(PROOF_LASTS)
    coded = await everybody.with_a_fresh_code(proven)
    before = await fingerprint(database_url)
    told = await everybody.heard(coded, lambda route: approves(route) and route.method != "GET")
    assert {one: answer for one, answer in told.items() if answer != NOT_NOW} == {}
    assert await _changed(database_url, before) == []

    fresh = await everybody.signed_in(passkey=True)
    everybody._later()
    told = await everybody.heard(fresh, lambda route: AGREEING.search(route.path) is not None)
    assert not {NO_PASSKEY, NOT_NOW} & set(told.values()), "with it they come to what they name"


NO_PASSKEY: Final = (403, "passkey_required")
NOT_NOW: Final = (403, "step_up_required")


async def _changed(database_url: str, before: dict[str, tuple[int, int]]) -> list[str]:
    after = await fingerprint(database_url)
    return [one for one in before if after[one] != before[one] and one not in WRITTEN]

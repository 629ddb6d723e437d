"""Security row C7 for staff: every change of who may do what stands in the audit trail, once.

Counted per kind after a walk of many steps taken at random, some of which are refused: the tables'
own rows on one side, the trail on the other.
"""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

from tests.behind import rows_of_all_banks
from tests.desk import SITE, Desk
from wallet.access import approvals, emergency, passkeys, staff, staff_sessions
from wallet.access.members import Permission
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import Secret, new_id
from wallet.outcomes import Refused
from wallet.work import SYSTEM

COUNTED = {
    "staff.enrol": "select count(*) from staff",
    "staff.passkey_add": "select count(*) from passkeys",
    "staff.disable": "select count(*) from staff where disabled_at is not null",
    "emergency.open": "select count(*) from emergency_access",
    "emergency.review": "select count(*) from emergency_access where reviewed_by is not null",
    "test.act.request": "select count(*) from approvals",
    "test.act.approve": "select count(*) from approvals where checker_id is not null",
}


class Walk:
    """Steps that staff take, in any order; some are refused, which is a step as well."""

    def __init__(self, desk: Desk, rng: random.Random) -> None:
        self.desk, self.rng = desk, rng
        self.signed = Counter[str]()
        self._asked: list[Any] = []
        self._opened: list[Any] = []

    async def sign_in(self) -> None:
        await self.desk.session(self.rng.choice(("dara", "bopha", "vanna")))
        self.signed["staff.sign_in"] += 1

    async def fail(self) -> None:
        self.signed["staff.sign_in_failed"] += 1
        await self.desk.sign_in("dara", code="000000")

    async def ask(self) -> None:
        asked = await self._as(
            "maker.mcs",
            lambda work: approvals.request(
                work, "test.act", str(new_id()), bytes(32), permission=Permission.SALARY_SEND
            ),
        )
        self._asked.append(asked)

    async def approve(self) -> None:
        code = Secret(self.rng.choice((self.desk.code(), "000000")))
        await self._as(
            self.rng.choice(("maker.mcs", "checker.mcs")),
            lambda work: approvals.approve(
                work,
                self.desk.vault,
                self.rng.choice(self._asked).id,
                act="test.act",
                payload_hash=bytes(32),
                code=code,
                permission=Permission.SALARY_APPROVE,
            ),
        )

    async def break_glass(self) -> None:
        done = await self._as(
            self.rng.choice(("dara", "bopha")),
            lambda work: emergency.open_access(work, "somebody was found unconscious"),
        )
        self._opened.append(done.answer["emergency_id"])

    async def review(self) -> None:
        found = self.rng.choice(self._opened)
        await self._as(
            self.rng.choice(("bopha", "vanna", "dara")),
            lambda work: emergency.review(work, found, justified=True, note="seen"),
        )

    async def _as(self, login: str, act: Any) -> Any:
        return await self.desk.works.perform(self.desk.member(login).actor, None, act)


async def test_changes_and_rows_are_the_same_number_for_each_kind(
    desk: Desk, clock: TurnedClock, database: Database
) -> None:
    for login in ("dara", "bopha", "vanna", "maker.mcs", "checker.mcs"):
        await desk.enrol(login)
    rng = random.Random(7)
    walk = Walk(desk, rng)
    steps = (walk.sign_in, walk.fail, walk.ask, walk.approve, walk.break_glass, walk.review)
    for _ in range(60):
        clock.advance(timedelta(minutes=rng.choice((1, 6, 20))))
        await desk.redis.flushall()
        try:
            await rng.choice(steps)()
        except (Refused, IndexError):
            continue
    await desk.works.perform(SYSTEM, None, lambda work: staff.disable(work, desk.people["dara"].id))

    told = Counter(row["act"] for row in await rows_of_all_banks(database, "select act from audit"))
    for act, counts in COUNTED.items():
        standing = await desk.works.read(
            SYSTEM, None, lambda work, counts=counts: work.value(counts)
        )
        assert told[act] == standing, act
        assert told[act] > 0, f"the walk has no {act}"
    for act, times in walk.signed.items():
        assert told[act] == times, act
    assert told["staff.step_up"] == told["staff.passkey_add"] + await proofs(database)


async def proofs(database: Database) -> int:
    """How often a passkey was shown: its counter says so itself."""
    [row] = await database.rows("select coalesce(sum(sign_count), 0)::bigint as n from passkeys")
    return int(row["n"])


def test_the_site_of_these_tests_is_one_origin() -> None:
    assert SITE.origin.endswith(SITE.host)
    assert passkeys.CHALLENGE_LIVES < staff_sessions.PROOF_LASTS

"""A bank's own card controls at its door: drafted, tried, promoted by two people, brought back.

Promise: the clerk's own bank's alone; reports are sums, nobody's purchases; nothing decides before
a second member approved it with a fresh time code. Who calls: bank clerks.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.bank.funnel import own
from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.wire import PAGE, Body, Cursor, Limit, Page, StepUp, page_of, read_cursor
from wallet.access import approvals
from wallet.access.approvals import Approval
from wallet.access.members import Permission
from wallet.controls import ControlSheet, bank_subject, history, rollout, versions
from wallet.controls.history import Report
from wallet.identifiers import ApprovalId, Secret
from wallet.outcomes import Declined, Outcome
from wallet.work import Work

_SHEET: Final = [
    {
        "spend": [
            {"window": "day", "currency": "USD", "most_minor": 500_000, "most_count": 30},
            {"window": "month", "currency": "KHR", "most_minor": 40_000_000, "per": "holder"},
        ],
        "mccs": {"deny": ["7995", "6051"]},
        "countries": {"deny": ["KP"]},
    }
]


class Draft(Body, frozen=True, kw_only=True):
    """Every control of the bank: a version replaces the one before whole. Null is no rule, an empty
    list of what is allowed allows nothing, and 0 is nothing; hours are Phnom Penh's."""

    sheet: Annotated[ControlSheet, Meta(examples=_SHEET)]


class ShownVersion(Struct, frozen=True, kw_only=True):
    """A version: DRAFT, SHADOW (asked of live purchases, decides nothing), LIVE, PAST, WITHDRAWN.
    `copied_from`: the version it brings back."""

    id: UUID
    version: Annotated[int, Meta(examples=[7])]
    state: Annotated[str, Meta(examples=["SHADOW"])]
    sheet: Annotated[ControlSheet, Meta(examples=_SHEET)]
    copied_from: Annotated[int | None, Meta(examples=[None])]
    drafted_at: datetime
    shadowed_at: datetime | None
    promoted_at: datetime | None
    ended_at: datetime | None


class ShownLine(Struct, frozen=True, kw_only=True):
    """Purchases that would go otherwise, by reason, rule and currency; `cards`: of how many."""

    reason: Annotated[str | None, Meta(examples=["mcc_not_allowed"])]
    rule: Annotated[str | None, Meta(examples=["mcc_deny"])]
    currency: str
    purchases: Annotated[int, Meta(examples=[412])]
    cards: Annotated[int, Meta(examples=[388])]
    amount_minor: Annotated[int, Meta(examples=[1_284_000])]


class ShownReport(Struct, frozen=True, kw_only=True):
    """`would_decline`: was allowed, this version declines it. `would_allow`: the bank's own sheet
    declined it, this version does not. Not `complete`: there were more than one report looks at."""

    version: Annotated[int, Meta(examples=[7])]
    since: datetime
    until: datetime
    purchases: Annotated[int, Meta(examples=[90_214])]
    would_decline: list[ShownLine]
    would_allow: list[ShownLine]
    complete: bool


Days = Annotated[
    int,
    Parameter(query="days", ge=1, le=62, description="Phnom Penh days back, today among them."),
]


@get("/controls", summary="Your bank's card controls: every version, newest first")
async def bank_controls(
    caller: StaffCaller, resources: Resources, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[ShownVersion]:
    place = read_cursor(cursor, tuple[int])
    subject = bank_subject(own(caller))

    async def read(work: Work) -> list[versions.Version]:
        return await versions.of_subject(work, subject, place[0] if place else None, limit + 1)

    found = await resources.works.read(caller.actor, own(caller), read)
    page = page_of(found, limit, lambda version: (version.version,))
    return Page(items=[_version(rollout.shown(one)) for one in page.items], next=page.next)


@post(
    "/controls",
    guards=[with_permission(Permission.CONTROLS_PROPOSE)],
    summary="Draft your bank's card controls anew",
)
async def draft_controls(
    data: Draft, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> ShownVersion:
    return await _step(
        caller,
        resources,
        ("draft", idempotency_key, msgspec.json.encode(data)),
        lambda work: rollout.draft(work, data.sheet),
    )


@post(
    "/controls/{version_id:uuid}/shadow",
    status_code=200,
    guards=[with_permission(Permission.CONTROLS_PROPOSE)],
    summary="Ask a draft of every live purchase, deciding nothing",
)
async def shadow_controls(
    version_id: UUID, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> ShownVersion:
    """One version at a time is in shadow."""
    return await _step(
        caller,
        resources,
        ("shadow", idempotency_key, version_id.bytes),
        lambda work: rollout.put_in_shadow(work, version_id),
    )


@post(
    "/controls/{version_id:uuid}/withdraw",
    status_code=200,
    guards=[with_permission(Permission.CONTROLS_PROPOSE)],
    summary="Give up a version that decides nothing",
)
async def withdraw_controls(
    version_id: UUID, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> ShownVersion:
    return await _step(
        caller,
        resources,
        ("withdraw", idempotency_key, version_id.bytes),
        lambda work: rollout.withdraw(work, version_id),
    )


@post(
    "/controls/{version_id:uuid}/promotion",
    status_code=200,
    guards=[with_permission(Permission.CONTROLS_PROPOSE)],
    summary="Ask a second person to put a version in force",
)
async def ask_to_promote(
    version_id: UUID, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> ShownVersion:
    """Only what was in shadow, or brings back what was in force, can be promoted."""
    return await _step(
        caller,
        resources,
        ("promotion", idempotency_key, version_id.bytes),
        lambda work: rollout.ask_to_promote(work, version_id),
    )


@post(
    "/controls/{version_id:uuid}/promote",
    status_code=200,
    guards=[with_permission(Permission.CONTROLS_APPROVE)],
    summary="Put in force what another clerk drafted and asked for",
)
async def promote_controls(
    version_id: UUID,
    data: StepUp,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> ShownVersion:
    """In force from the next purchase on. Whoever drafted or asked for it cannot promote it."""
    vault = resources.vault

    async def second(work: Work, approval_id: ApprovalId, payload: bytes) -> Approval | Declined:
        return await approvals.approve(
            work,
            vault,
            approval_id,
            act=rollout.ACT,
            payload_hash=payload,
            code=Secret(data.totp),
            permission=Permission.CONTROLS_APPROVE,
        )

    # Keyed: a plain hash of six digits would be as good as the digits.
    body = vault.blind_index("bank.controls.promote", f"{version_id} {data.totp}")
    return await _step(
        caller,
        resources,
        ("promote", idempotency_key, body),
        lambda work: rollout.promote(work, version_id, second),
    )


@post(
    "/controls/versions/{number:int}/bring-back",
    guards=[with_permission(Permission.CONTROLS_PROPOSE)],
    summary="Ask for an earlier version to be put in force again",
)
async def bring_back_controls(
    number: int, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> ShownVersion:
    """A copy of it waits for a second person at once: it needs no shadow, it was in force."""
    return await _step(
        caller,
        resources,
        ("bring_back", idempotency_key, b"%d" % number),
        lambda work: rollout.bring_back(work, number),
    )


@get("/controls/{version_id:uuid}/shadow", summary="What a version in shadow would have changed")
async def shadow_report(version_id: UUID, caller: StaffCaller, resources: Resources) -> ShownReport:
    subject = bank_subject(own(caller))
    return _report(
        await history.made(
            resources.works,
            caller.actor,
            own(caller),
            lambda work: history.in_shadow(work, version_id, subject),
        )
    )


@get(
    "/controls/{version_id:uuid}/history",
    summary="What a version would have changed on the purchases of the last days",
)
async def history_report(
    version_id: UUID, caller: StaffCaller, resources: Resources, days: Days = 31
) -> ShownReport:
    subject = bank_subject(own(caller))
    return _report(
        await history.made(
            resources.works,
            caller.actor,
            own(caller),
            lambda work: history.on_history(work, version_id, subject, days),
        )
    )


async def _step(
    caller: StaffCaller,
    resources: Resources,
    keyed: tuple[str, str, bytes],
    act: Callable[[Work], Awaitable[Outcome]],
) -> ShownVersion:
    step, key, body = keyed
    outcome, _ = await resources.works.perform_once(
        caller.actor, own(caller), f"{rollout.ACT}.{step}", key, body, act
    )
    return _version(answered(outcome))


def _version(shown: dict[str, Any]) -> ShownVersion:
    return msgspec.convert(shown, ShownVersion)


def _report(report: Report) -> ShownReport:
    return msgspec.convert(msgspec.to_builtins(report), ShownReport)


HANDLERS: Final[list[Any]] = [
    bank_controls,
    draft_controls,
    shadow_controls,
    withdraw_controls,
    ask_to_promote,
    promote_controls,
    bring_back_controls,
    shadow_report,
    history_report,
]

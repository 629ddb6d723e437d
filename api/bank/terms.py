"""Limits, fees and rates at the banks' door: read, propose, approve.

Promise: the sheets are the clerk's own bank's; one clerk proposes, another approves with a fresh
time code; nothing takes effect less than a minute after. Who calls: bank clerks.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from msgspec import Meta, Struct

from api.bank.funnel import own
from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.wire import Body, StepUp
from wallet import proposals
from wallet.access import approvals
from wallet.access.approvals import Approval
from wallet.access.members import Permission
from wallet.exchange import RateSheet
from wallet.fees import DEFAULT as DEFAULT_FEES
from wallet.fees import FeeSheet
from wallet.identifiers import ApprovalId, Secret
from wallet.limits import DEFAULT as DEFAULT_LIMITS
from wallet.limits import LimitSheet
from wallet.outcomes import Declined
from wallet.terms import Sort
from wallet.work import Work

From = Annotated[
    Annotated[datetime, Meta(tz=True)] | None,
    Meta(
        description="When it takes effect; null: a minute after its approval. What limits count "
        "anew begins at midnight in Phnom Penh, or on the first of a month there.",
        examples=["2026-02-01T00:00:00+07:00"],
    ),
]

_LIMITS: Final = [
    {
        "rules": [
            {"window": "day", "currency": "KHR", "most_minor": 40_000_000, "tier": "full"},
            {"window": "payment", "currency": "USD", "most_minor": 250_000, "kind": "qr_payment"},
        ],
        "riel_per_dollar": 4_000,
    }
]
_FEES: Final = [{"lines": [{"function": "card", "currency": "USD", "fee_minor": 300, "free": 3}]}]
_RATES: Final = [{"mid_hundredths": 409_850, "spread_bps": 50}]


class ProposeLimits(Body, frozen=True, kw_only=True):
    """Every limit of the bank: the sheet replaces the one before whole. Null is no limit; 0 allows
    nothing. Days and months are Phnom Penh's."""

    sheet: Annotated[LimitSheet, Meta(examples=_LIMITS)]
    effective_from: From = None


class ProposeFees(Body, frozen=True, kw_only=True):
    """Every fee of the bank: the sheet replaces the one before whole."""

    sheet: Annotated[FeeSheet, Meta(examples=_FEES)]
    effective_from: From = None


class ProposeRates(Body, frozen=True, kw_only=True):
    """What a dollar is worth in hundredths of a riel, and what the bank keeps, in parts of 10,000.
    A rate lies within a tenth of the one before."""

    sheet: Annotated[RateSheet, Meta(examples=_RATES)]
    effective_from: From = None


class ShownSheet(Struct, frozen=True, kw_only=True):
    """A sheet: WAITING for a second clerk, or APPROVED."""

    id: UUID
    state: Annotated[str, Meta(examples=["WAITING"])]
    sheet: Annotated[dict[str, Any], Meta(examples=_RATES)]
    effective_from: datetime | None
    proposed_at: datetime


class Standing(Struct, frozen=True, kw_only=True):
    """The sheets that count or may come to count, newest first: the one in force, approved ones to
    come, proposed ones. `otherwise`: what holds where none is in force."""

    sheets: list[ShownSheet]
    otherwise: Annotated[dict[str, Any] | None, Meta(examples=_FEES)]


@get("/limits", summary="Your bank's limits: in force, to come, proposed")
async def limits(caller: StaffCaller, resources: Resources) -> Standing:
    return await _standing(caller, resources, Sort.LIMITS, DEFAULT_LIMITS)


@get("/fees", summary="Your bank's fees: in force, to come, proposed")
async def fees(caller: StaffCaller, resources: Resources) -> Standing:
    return await _standing(caller, resources, Sort.FEES, DEFAULT_FEES)


@get("/rates", summary="Your bank's exchange rates: in force, to come, proposed")
async def rates(caller: StaffCaller, resources: Resources) -> Standing:
    return await _standing(caller, resources, Sort.RATES, None)


@post(
    "/limits",
    guards=[with_permission(Permission.TERMS_PROPOSE)],
    summary="Propose your bank's limits anew",
)
async def propose_limits(
    data: ProposeLimits, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> ShownSheet:
    return await _propose(data, caller, resources, idempotency_key)


@post(
    "/fees",
    guards=[with_permission(Permission.TERMS_PROPOSE)],
    summary="Propose your bank's fees anew",
)
async def propose_fees(
    data: ProposeFees, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> ShownSheet:
    return await _propose(data, caller, resources, idempotency_key)


@post(
    "/rates",
    guards=[with_permission(Permission.TERMS_PROPOSE)],
    summary="Propose a new exchange rate",
)
async def propose_rates(
    data: ProposeRates, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> ShownSheet:
    return await _propose(data, caller, resources, idempotency_key)


@post(
    "/terms/{sheet_id:uuid}/approve",
    status_code=200,
    guards=[with_permission(Permission.TERMS_APPROVE)],
    summary="Approve limits, fees or a rate that another clerk proposed",
)
async def approve_terms(
    sheet_id: UUID,
    data: StepUp,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> ShownSheet:
    """Whoever proposed cannot approve."""
    works, vault = resources.works, resources.vault

    async def second(work: Work, approval_id: ApprovalId, payload: bytes) -> Approval | Declined:
        return await approvals.approve(
            work,
            vault,
            approval_id,
            act=proposals.ACT,
            payload_hash=payload,
            code=Secret(data.totp),
            permission=Permission.TERMS_APPROVE,
        )

    outcome, _ = await works.perform_once(
        caller.actor,
        own(caller),
        f"{proposals.ACT}.approve",
        idempotency_key,
        # Keyed: a plain hash of six digits would be as good as the digits.
        vault.blind_index("bank.terms.approve", f"{sheet_id} {data.totp}"),
        lambda work: proposals.approve(work, sheet_id, second),
    )
    return msgspec.convert(answered(outcome), ShownSheet)


async def _propose(
    data: ProposeLimits | ProposeFees | ProposeRates,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> ShownSheet:
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        own(caller),
        f"{proposals.ACT}.{type(data).__name__}",
        idempotency_key,
        msgspec.json.encode(data),
        lambda work: proposals.propose(work, data.sheet, data.effective_from),
    )
    return msgspec.convert(answered(outcome), ShownSheet)


async def _standing(
    caller: StaffCaller, resources: Resources, sort: Sort, otherwise: Struct | None
) -> Standing:
    sheets = await resources.works.read(
        caller.actor, own(caller), lambda work: proposals.standing(work, sort)
    )
    return Standing(
        sheets=[msgspec.convert(proposals.shown(sheet), ShownSheet) for sheet in sheets],
        otherwise=None if otherwise is None else msgspec.to_builtins(otherwise),
    )


HANDLERS: Final[list[Any]] = [
    limits,
    fees,
    rates,
    propose_limits,
    propose_fees,
    propose_rates,
    approve_terms,
]

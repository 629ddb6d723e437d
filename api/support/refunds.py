"""Refunds at the support door: asked for by one, above the threshold approved by another.

Promise: asked or approved again under the same key it is the same refund; the second person is
proven by a fresh time code. Who calls: support agents, supervisors.
"""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import post
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Policy, Resources
from api.security import StaffCaller, with_permission
from api.support.disputes import Why
from api.wire import Body, MoneyIn, StepUp
from wallet.access import approvals
from wallet.access.approvals import Approval
from wallet.disputes import cases, refunds
from wallet.disputes.refunds import Source, Wish
from wallet.identifiers import ApprovalId, DisputeId, RefundId, Secret
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import Work


class AskRefund(Body, frozen=True, kw_only=True):
    """Money back to the holder's wallet.

    `COUNTERPARTY`: from where the transaction's money went, if that is an account of the bank's
    own; `BANK`: from the bank's loss account.
    """

    amount: MoneyIn
    source: Annotated[Source, Meta(examples=["COUNTERPARTY"])]
    why: Why


class RefundMade(Struct, frozen=True, kw_only=True):
    """PAID at once, or REQUESTED: a second person has 24 hours to approve it."""

    refund_id: UUID
    dispute_id: UUID
    state: Annotated[str, Meta(examples=["PAID"])]
    amount_minor: Annotated[int, Meta(examples=[20_000])]
    currency: Annotated[str, Meta(examples=["KHR"])]


@post(
    "/disputes/{dispute_id:uuid}/refunds",
    guards=[with_permission(refunds.MAKES)],
    summary="Give money back, or ask a second person to",
)
async def ask_refund(
    dispute_id: UUID,
    data: AskRefund,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> RefundMade:
    """Above the threshold, counting what was paid in the case by single persons before, the refund
    waits for a supervisor."""
    works = resources.works
    wish = Wish(
        case_id=DisputeId(dispute_id),
        money=data.amount.money,
        source=data.source,
        why=data.why,
        threshold=_threshold(resources.policy, data.amount.money.currency),
    )
    case = await works.read(caller.actor, caller.bank, lambda work: cases.find(work, wish.case_id))
    outcome, _ = await works.perform_once(
        caller.actor,
        case.bank,
        refunds.ACT,
        idempotency_key,
        msgspec.json.encode([dispute_id, data]),
        lambda work: refunds.ask(work, wish),
    )
    return msgspec.convert(answered(outcome), RefundMade)


@post(
    "/refunds/{refund_id:uuid}/approve",
    status_code=200,
    guards=[with_permission(refunds.APPROVER)],
    summary="Approve a refund another member asked for, and pay it",
)
async def approve_refund(
    refund_id: UUID,
    data: StepUp,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> RefundMade:
    """Whoever asked cannot approve."""
    works, vault, asked = resources.works, resources.vault, RefundId(refund_id)

    async def second(work: Work, approval_id: ApprovalId, payload: bytes) -> Approval | Declined:
        return await approvals.approve(
            work,
            vault,
            approval_id,
            act=refunds.ACT,
            payload_hash=payload,
            code=Secret(data.totp),
            permission=refunds.APPROVER,
        )

    bank = await works.read(caller.actor, caller.bank, lambda work: refunds.bank_of(work, asked))
    outcome, _ = await works.perform_once(
        caller.actor,
        bank,
        f"{refunds.ACT}.approve",
        idempotency_key,
        # Keyed: a plain hash of six digits would be as good as the digits.
        vault.blind_index("support.refund.approve", f"{refund_id} {data.totp}"),
        lambda work: refunds.approve(work, asked, second),
    )
    return msgspec.convert(answered(outcome), RefundMade)


def _threshold(policy: Policy, currency: Currency) -> Money:
    if currency is Currency.KHR:
        return Money.khr(policy.four_eyes_above_khr)
    return Money.usd(policy.four_eyes_above_usd_cents)


HANDLERS: Final[list[Any]] = [ask_refund, approve_refund]

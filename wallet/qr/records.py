"""The rows behind QR payments: what a group needs to know, and the payments written down.

Tables owned: qr_payments. Who calls: `paying`, inside its Works.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from wallet.access.intents import Asked, Consumed
from wallet.database import SerializationFailure
from wallet.fees import Network
from wallet.identifiers import AccountId, HolderId, IntentId
from wallet.khqr import skeleton
from wallet.money import Currency, Money
from wallet.qr.scanning import Scan
from wallet.work import Actor, ActorKind, Work


class Plan(Struct, frozen=True, kw_only=True):
    """All that the effect needs, fixed when the holder was shown it. Texts are verbatim."""

    md5: str
    dynamic: bool
    expires_ms: int | None
    debit: int
    credit: int | None
    """The payee's wallet in these same books; none: the rail's settlement account."""
    account: str
    detail: str
    name: str
    shown_name: str
    bill: str | None
    mobile: str | None
    store: str | None
    terminal: str | None
    purpose: str | None
    fee_minor: int = 0
    """In the payment's currency, as shown and signed."""

    @property
    def network(self) -> Network:
        return Network.OFF_US if self.credit is None else Network.ON_US


class Wallet(Struct, frozen=True, kw_only=True):
    id: AccountId
    holder_id: HolderId
    currency: Currency
    number: str
    closed: bool
    name_latin: str | None
    name_khmer: str | None
    payment_state: str | None
    """Of its holder's Smart ID: the valid one's, else the newest's. For payers only."""


class Acquaintance(Struct, frozen=True, kw_only=True):
    """What the holder's own payments say about a name."""

    known: bool
    elsewhere: bool
    look_alike: bool


class Payment:
    """One signed payment on its way through a group."""

    __slots__ = ("actor", "credit", "debit", "holder_id", "id", "money", "plan", "posted")

    def __init__(self, consumed: Consumed, plan: Plan) -> None:
        assert consumed.money is not None  # noqa: S101 - every qr.pay was prepared with its money
        self.id: IntentId = consumed.intent_id
        self.holder_id = consumed.holder_id
        self.money = consumed.money
        self.plan = plan
        self.debit = AccountId(plan.debit)
        self.credit = AccountId(plan.credit or 0)
        self.posted = False
        self.actor = Actor(
            kind=ActorKind.HOLDER,
            id=str(consumed.holder_id),
            bank=consumed.bank,
            holder_id=consumed.holder_id,
            device_id=consumed.device_id,
        )

    @property
    def fee(self) -> Money | None:
        """What was signed to be taken on top."""
        fee_minor = self.plan.fee_minor
        return Money(fee_minor, self.money.currency) if fee_minor else None

    @property
    def reference(self) -> str:
        """What a receipt prints: the intent's random end, short enough to say aloud."""
        return self.id.hex[-12:].upper()


async def states_and_paid(
    work: Work, holder_ids: list[HolderId], codes: list[str]
) -> tuple[dict[HolderId, str | None], dict[str, IntentId]]:
    """Each holder's payment state (of the Smart ID that is valid, else of the newest); and which of
    these dynamic codes are paid, by whichever payment of whichever bank."""
    states: dict[HolderId, str | None] = {}
    paid: dict[str, IntentId] = {}
    for row in await work.rows(_STATES_AND_PAID, holder_ids, codes):
        if row["md5"] is None:
            states[HolderId(row["id"])] = row["payment_state"]
        else:
            paid[row["md5"]] = IntentId(row["id"])
    return states, paid


_STATES_AND_PAID: Final = """
select h.id, s.payment_state, null as md5
from unnest($1::uuid[]) as h (id)
left join lateral (
    select payment_state from smart_ids where holder_id = h.id
    order by identity_state = 'VALID' desc, changed_at desc, id desc limit 1
) s on true
union all
select p.id, null, p.md5 from qr_codes_paid($2) p
"""


async def wallets_known(work: Work, holder_ids: list[HolderId], numbers: list[str]) -> list[Wallet]:
    """The wallets of these holders, and those with these numbers, within the bank's walls."""
    return await work.structs(Wallet, _WALLETS, holder_ids, numbers)


# The payers' wallets, and payees' wallets by number with the registry's names: one bank's, by wall.
_WALLETS: Final = """
select a.id, a.holder_id, a.currency, a.number, a.closed_at is not null as closed,
       n.name_latin, n.name_khmer, s.payment_state
from accounts a
left join holder_names n on n.holder_id = a.holder_id
left join lateral (
    select payment_state from smart_ids
    where holder_id = a.holder_id and a.holder_id = any($1::uuid[])
    order by identity_state = 'VALID' desc, changed_at desc, id desc limit 1
) s on true
where a.kind = 'wallet' and (a.holder_id = any($1::uuid[]) or a.number = any($2::text[]))
"""


async def acquaintances_of(work: Work, sound: Sequence[tuple[Asked, Scan]]) -> list[Acquaintance]:
    """What each holder's own past payments say about the payee's name, in order."""
    return await work.structs(
        Acquaintance,
        _ACQUAINTANCES,
        [request.holder_id for request, _ in sound],
        [scanned.code.account for _, scanned in sound],
        [scanned.code.detail or "" for _, scanned in sound],
        [scanned.code.name for _, scanned in sound],
        [skeleton(scanned.code.name) for _, scanned in sound],
    )


_ACQUAINTANCES: Final = """
select k.known is not null as known, coalesce(bool_or(p.named), false) as elsewhere,
       coalesce(bool_or(not p.named), false) as look_alike
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) with ordinality
     as q (holder_id, account, detail, name, skeleton, place)
left join lateral (
    select true as known from qr_payments r
    where r.holder_id = q.holder_id and r.payee_skeleton = q.skeleton
      and r.payee_account = q.account and r.payee_detail = q.detail limit 1
) k on true
left join lateral (
    select r.payee_name = q.name as named
    from qr_payments r
    where k.known is null and r.holder_id = q.holder_id and r.payee_skeleton = q.skeleton
    order by r.created_at desc limit 50
) p on true
group by q.place, k.known order by q.place
"""


def record(work: Work, posted: Sequence[Payment]) -> None:
    """Have the payments written down. When somebody of another process or bank paid one of their
    codes this very moment, the whole Work is run again, and finds it paid."""
    plans = [payment.plan for payment in posted]
    work.store(
        "qr_payments",
        _RECORD,
        work.bank,
        work.now,
        [payment.id for payment in posted],
        [payment.holder_id for payment in posted],
        [plan.md5 for plan in plans],
        [plan.dynamic for plan in plans],
        [plan.account for plan in plans],
        [plan.detail for plan in plans],
        [plan.name for plan in plans],
        [skeleton(plan.name) for plan in plans],
        [payment.money.currency.value for payment in posted],
        [payment.money.minor for payment in posted],
        [plan.bill for plan in plans],
        [plan.mobile for plan in plans],
        [plan.store for plan in plans],
        [plan.terminal for plan in plans],
        [plan.purpose for plan in plans],
        rows=len(posted),
        short=SerializationFailure("a code was paid by somebody else meanwhile"),
    )


# In order of the codes: two groups meeting on the same two codes wait, but never for each other.
_RECORD: Final = """
insert into qr_payments (bank, created_at, id, transfer_id, holder_id, md5, dynamic,
                         payee_account, payee_detail, payee_name, payee_skeleton, currency,
                         amount_minor, bill, mobile, store, terminal, purpose)
select $1, $2, p.id, p.id, p.holder_id, p.md5, p.dynamic, p.account, p.detail, p.name, p.skeleton,
       p.currency, p.amount_minor, p.bill, p.mobile, p.store, p.terminal, p.purpose
from unnest($3::uuid[], $4::uuid[], $5::text[], $6::boolean[], $7::text[], $8::text[], $9::text[],
            $10::text[], $11::text[], $12::bigint[], $13::text[], $14::text[], $15::text[],
            $16::text[], $17::text[])
     as p (id, holder_id, md5, dynamic, account, detail, name, skeleton, currency, amount_minor,
           bill, mobile, store, terminal, purpose)
order by p.md5
on conflict (md5) where dynamic do nothing
"""

"""What a purchase meets at the card, for a group: found, locked, decided, marked.

Promise: the cards of a group and their Smart IDs are locked in one statement, so that a freeze is
either before a decision or after it; whether a card may be used now is decided in plain Python;
what an approval does to the card is written with the group's other writes. A closed card stays
closed and a lock stays on, whatever becomes of the approval later: the number is known to
somebody by then (decision 0041). Only an approval that no shop ever heard of leaves no mark: one
that was answered after its deadline is a decline, and a decline uses nothing up (decision 0052).

    kind             before its first approval     after it
    open             any merchant                  any merchant
    single_use       any merchant                  CLOSED, spent_by that approval
    merchant_locked  any, or the one named         that merchant alone
    recurring        as merchant_locked, and only charges under a standing agreement

A renewed card's old number is closed, but merchants that charged it by a standing agreement go on:
`Tray.paying` answers the card that pays for them today.

Owns no table (changing writes). Who calls: authorisations.

    tray = await open_tray(work, issuing, indexes=[number_index(vault, number), ...])
    card = tray.paying(tray.by_index(index), purchase)
    no = tray.decide(card, purchase, presented)          Declined, and its try counted, or None
    tray.approve(card, purchase, authorisation_id)       after limits and the book have agreed
    tray.write()                                         before the Work ends
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from wallet.cards import changing, numbers
from wallet.cards.changing import Change
from wallet.cards.rows import live_cards
from wallet.cards.rules import Issuing
from wallet.cards.states import (
    Card,
    CardKind,
    CardState,
    Substatus,
    decide,
)
from wallet.database import decode
from wallet.identifiers import CardId, Secret, SmartIdId
from wallet.money import Money
from wallet.outcomes import Declined, Facts, Reason
from wallet.vault import Vault
from wallet.work import Actor, Work


class Merchant(Struct, frozen=True, kw_only=True):
    """Who is paid, as the network names it: `id` decides, `name` is shown."""

    id: str
    name: str


class Purchase(Struct, frozen=True, kw_only=True):
    """`money` as the merchant asks it; zero is an account check and leaves no mark on the card.

    `recurring`: charged under a standing agreement, the first time too.
    """

    money: Money
    merchant: Merchant
    recurring: bool = False


class Presented(Struct, frozen=True, kw_only=True):
    """What was keyed in. `expiry` is MM/YY as printed; `cvv` None when the merchant sent none,
    which is for the caller to allow or not."""

    number: Secret[str]
    expiry: str
    cvv: Secret[str] | None = None


def number_index(vault: Vault, number: Secret[str]) -> bytes:
    """What a card number is found by."""
    return vault.blind_index(numbers.NUMBER_INDEX, number.reveal())


async def open_tray(
    work: Work,
    issuing: Issuing,
    *,
    ids: Sequence[CardId] = (),
    indexes: Sequence[bytes] = (),
) -> "Tray":
    """Lock and load the cards of a group, with the cards that renewed them, in one statement.

    The accounts are locked after this, as everywhere. Cards of other banks are not found.
    """
    rows = await work.rows(_LOAD, list(ids), list(indexes))
    if any(row["identity_state"] is None for row in rows):
        # Moved to a new Smart ID while we waited for the old one's lock: both are committed now.
        rows = await work.rows(_LOAD, list(ids), list(indexes))
    return Tray(work, issuing, [row for row in rows if row["id"] is not None])


class Tray:
    """The cards of one group, as its members leave them to one another."""

    def __init__(self, work: Work, issuing: Issuing, rows: Sequence[Any]) -> None:
        self._work = work
        self._issuing = issuing
        self._cards: dict[CardId, Card] = {}
        self._ids: dict[bytes, CardId] = {}
        self._lines: dict[CardId, list[CardId]] = {}
        self._standing: dict[CardId, set[str]] = {}
        self._heads: dict[CardId, CardId] = {}
        self._counted: set[CardId] = set()
        self._steps: list[Change] = []
        self._agreed: list[tuple[Card, str, str, UUID]] = []
        self._live: dict[SmartIdId, int] = {}
        self._unheard: set[UUID] = set()
        for row in rows:
            card = decode(Card, row)
            self._cards[card.id] = card
            self._lines.setdefault(card.lineage, []).append(card.id)
            self._ids[row["number_index"]] = card.id
            self._standing.setdefault(card.lineage, set()).update(row["standing"])
            if card.replaced_by is None:
                self._heads[card.lineage] = card.id

    def card(self, card_id: CardId) -> Card | None:
        """The card as it now stands within the group."""
        return self._cards.get(card_id)

    def by_index(self, index: bytes) -> Card | None:
        """The card with this number (`number_index`); None when no such card was issued here."""
        card_id = self._ids.get(index)
        return None if card_id is None else self._cards[card_id]

    def cards(self) -> list[Card]:
        """Every card that was loaded."""
        return list(self._cards.values())

    def lineage(self, card: Card) -> list[Card]:
        """The card and what was loaded of its renewals: those that may pay in its place."""
        return [self._cards[one] for one in self._lines[card.lineage]]

    def paying(self, card: Card, purchase: Purchase) -> Card:
        """The card that pays for a purchase made with `card`: its renewal where the merchant
        charges by an agreement older than that, else the card itself."""
        known = self._standing.get(card.lineage, set())
        if card.replaced_by is None or not purchase.recurring or purchase.merchant.id not in known:
            return card
        return self._cards.get(self._heads.get(card.lineage, card.id), card)

    def decide(
        self, card: Card, purchase: Purchase, presented: Presented | None = None
    ) -> Declined | None:
        """Why the card cannot pay for this now; None when it can. A wrong try is counted.

        Declines: as `decide_purchase`; CARD_DETAILS_WRONG (with tries left), CARD_DETAILS_LOCKED.
        """
        card = self._cards[card.id]
        no = decide_usable(card, self._work.now)
        if no is None and presented is not None:
            no = self._check(card, presented)
        return no or decide_purchase(card, purchase, self._work.now)

    def approve(
        self,
        card: Card,
        purchase: Purchase,
        authorisation_id: UUID,
        actor: Actor | None = None,
    ) -> None:
        """Mark what an approval, in full or in part, does to its card. `actor`: for the history;
        the Work's own when it is None."""
        if purchase.money.minor == 0:
            return
        card = self._cards[card.id]
        if purchase.recurring and self._agree(card, purchase.merchant):
            shop = purchase.merchant
            self._agreed.append((card, shop.id, shop.name, authorisation_id))
        after = decide_approved(card, purchase.merchant, authorisation_id)
        if after.state is not card.state:
            self._step("card.spent", "single_use_spent", card, after, actor)
        elif after != card:
            self._step("card.lock_merchant", "locked_to_merchant", card, after, actor)

    async def look_back(self, unheard: Mapping[UUID, CardId]) -> None:
        """Read what `unmark` needs of approvals that are taken back before their shop heard of
        them, each the only one of its card. Asks nothing of none."""
        if not unheard:
            return
        held = {self._cards[card_id].smart_id_id for card_id in unheard.values()}
        self._live = await live_cards(self._work, sorted(held))
        locked = await changing.ever(self._work, list(unheard.values()), "card.lock_merchant")
        self._unheard = {one for one, card_id in unheard.items() if card_id in locked}

    def unmark(self, card: Card, authorisation_id: UUID) -> None:
        """Undo what an approval did to its card, when its shop was never told of it: a single-use
        card may pay again where the quota still has room for it, a lock that only this one put on
        comes off. A standing agreement stays: it is the holder's with that shop."""
        card = self._cards[card.id]
        room = self._live.get(card.smart_id_id, 0) < self._issuing.rules.live_cards
        if card.spent_by == authorisation_id and room:
            self._live[card.smart_id_id] = self._live.get(card.smart_id_id, 0) + 1
            self._step("card.unspent", "answered_too_late", card, decide_unspent(card))
        elif authorisation_id in self._unheard and card.live(self._work.now):
            after = replace(card, locked_merchant=None, locked_name=None)
            self._step("card.unlock_merchant", "answered_too_late", card, after)

    def write(self) -> None:
        """Store what the group did to its cards, with the Work's next writes."""
        counted = [self._cards[card_id] for card_id in sorted(self._counted)]
        changing.change(self._work, self._steps, counted)
        changing.agree(self._work, self._agreed)

    def _check(self, card: Card, presented: Presented) -> Declined | None:
        rules = self._issuing.rules
        if card.cvv_failures >= rules.cvv_tries and presented.cvv is not None:
            return Declined(reason=Reason.CARD_DETAILS_LOCKED)
        if decide_details(self._issuing, card, presented, self._work.now):
            if card.cvv_failures and presented.cvv is not None:
                self._count(card, 0)
            return None
        failures = card.cvv_failures + 1
        self._count(card, failures)
        if failures == rules.cvv_tries:
            now = self._cards[card.id]
            self._step("card.cvv_locked", "wrong_details", now, now)
        left = max(rules.cvv_tries - failures, 0)
        return Declined(reason=Reason.CARD_DETAILS_WRONG, facts={"tries_left": left})

    def _count(self, card: Card, failures: int) -> None:
        self._cards[card.id] = replace(card, cvv_failures=failures)
        self._counted.add(card.id)

    def _step(
        self, act: str, cause: str, before: Card, after: Card, actor: Actor | None = None
    ) -> None:
        step = Change(act=act, cause=cause, before=before, after=after, actor=actor)
        self._steps.append(step)
        self._cards[before.id] = after

    def _agree(self, card: Card, merchant: Merchant) -> bool:
        """Whether this merchant's agreement is a new one."""
        known = self._standing.setdefault(card.lineage, set())
        if merchant.id in known:
            return False
        known.add(merchant.id)
        return True


def decide_usable(card: Card, moment: datetime) -> Declined | None:
    """Why the card pays for nothing at `moment`; None when it may. The Smart ID comes first: a
    card's own freeze is not worth lifting before it.

    Declines: SMART_ID_NOT_ACTIVE, SMART_ID_FROZEN, CARD_FROZEN, CARD_EXPIRED, CARD_UNCLAIMED,
    CARD_SPENT, CARD_REPLACED, CARD_CLOSED, CARD_REVERSED.
    """
    standing = card.standing(moment)
    if standing is CardState.ACTIVE:
        return None
    if standing is CardState.FROZEN:
        reason = card.stopped_by_smart_id
        if reason is not None:
            return Declined(reason=reason)
        by = ",".join(sorted(freezer.value for freezer in card.frozen_by))
        return Declined(reason=Reason.CARD_FROZEN, facts={"frozen_by": by})
    if standing is CardState.CLOSED and card.spent_by is not None:
        return Declined(reason=Reason.CARD_SPENT)
    if standing is CardState.CLOSED and card.replaced_by is not None:
        return Declined(reason=Reason.CARD_REPLACED)
    return Declined(reason=_OVER[standing])


_OVER: Final = {
    CardState.REQUESTED: Reason.CARD_UNCLAIMED,
    CardState.ISSUED_PENDING_CLAIM: Reason.CARD_UNCLAIMED,
    CardState.CLOSED: Reason.CARD_CLOSED,
    CardState.REVERSED: Reason.CARD_REVERSED,
    CardState.EXPIRED: Reason.CARD_EXPIRED,
}


def decide_purchase(card: Card, purchase: Purchase, moment: datetime) -> Declined | None:
    """Why the card cannot pay for this at `moment`; None when it can.

    Declines: as `decide_usable`; CARD_MERCHANT_LOCKED, CARD_RECURRING_ONLY,
    CARD_CURRENCY_DIFFERS.
    """
    no = decide_usable(card, moment)
    if no is not None:
        return no
    if card.locked_merchant not in (None, purchase.merchant.id):
        facts: Facts = {"merchant": card.locked_name or ""}
        return Declined(reason=Reason.CARD_MERCHANT_LOCKED, facts=facts)
    if card.kind is CardKind.RECURRING and not purchase.recurring:
        return Declined(reason=Reason.CARD_RECURRING_ONLY)
    if purchase.money.currency is not card.currency and not card.exchanges:
        facts = {"currency": card.currency.value}
        return Declined(reason=Reason.CARD_CURRENCY_DIFFERS, facts=facts)
    return None


def decide_approved(card: Card, merchant: Merchant, authorisation_id: UUID) -> Card:
    """The card after an approval: the same card when it is one of many."""
    if card.kind is CardKind.SINGLE_USE:
        closed = decide(card, CardState.CLOSED, Substatus.OTHER)
        return replace(closed, spent_by=authorisation_id)
    if card.kind.locks and card.locked_merchant is None:
        return replace(card, locked_merchant=merchant.id, locked_name=merchant.name)
    return card


def decide_unspent(card: Card) -> Card:
    """A single-use card whose one approval was taken back before its shop heard of it. The only
    way back from CLOSED."""
    return replace(card, state=CardState.ACTIVE, substatus=None, spent_by=None)


def decide_details(issuing: Issuing, card: Card, presented: Presented, moment: datetime) -> bool:
    """Whether expiry date and, where one was sent, check value are this card's at `moment`."""
    printed = numbers.printed_expiry(card.expires_on)
    right = hmac.compare_digest(printed.encode(), presented.expiry.encode())
    if presented.cvv is None:
        return right
    given = presented.cvv.reveal()
    number, until = presented.number, card.expires_on
    return numbers.check_cvv(issuing, card.bank, number, until, moment, given) and right


# Smart IDs before cards, each in id order: the one order of locks. A card that moved to another
# Smart ID while we waited for it comes without that one's states.
# The join is a full one because only that is never done row by row: to the planner both sides hold
# one row each. A Smart ID left without its card is left out when the rows are read.
_LOAD: Final = """
with asked as materialized (
    select id, smart_id_id, lineage, replaced_by from virtual_cards
     where id = any($1::uuid[]) or number_index = any($2::bytea[])
), wanted as materialized (
    select id, smart_id_id from asked
    union
    select n.id, n.smart_id_id from asked a
      join virtual_cards n on n.lineage = a.lineage and n.replaces is not null
                          and n.replaced_by is null
     where a.replaced_by is not null
), s as materialized (
    select id, identity_state, payment_state, cards_kept from smart_ids
     where id in (select smart_id_id from wanted) order by id for share
), c as materialized (
    select * from virtual_cards
     where id in (select id from wanted) and (select count(*) from s) >= 0
     order by id for no key update
)
select c.id, c.bank, c.holder_id, c.smart_id_id, c.state, c.substatus, c.frozen_by, c.kind,
       c.currency, c.account_id, c.label, c.last_four, c.expires_on, c.channel,
       c.claim_expires_at, c.claim_failures, c.terminal_name, c.per_use_limit_minor,
       c.daily_limit_minor, c.uses_per_day, c.locked_merchant, c.locked_name, c.spent_by,
       c.exchanges, c.lineage, c.replaces, c.replaced_by, c.cvv_failures, c.tokenised, c.made_at,
       c.changed_at,
       s.identity_state, s.payment_state, coalesce(s.cards_kept, false) as cards_kept,
       c.number_index,
       case when c.kind = 'recurring' or c.replaces is not null or c.replaced_by is not null
            then array(select u.merchant_id from card_standing_uses u where u.lineage = c.lineage)
            else '{}' end as standing
  from c full join s on s.id = c.smart_id_id
"""

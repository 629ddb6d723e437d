"""The Smart ID's two states as tables, and every decision about them: pure, no database.

Promise: identity and payment are never mixed; what is not in a table does not happen.
Owns no table. Who calls: smart_ids (which shows these to other rooms), applications.

    identity      may become
    APPLIED       CHECKED REVOKED
    CHECKED       SENT_TO_BANK REVOKED
    SENT_TO_BANK  PRINTED REVOKED
    PRINTED       WITH_AGENCY SENT_TO_BANK REVOKED     sent back: printed wrong, printed again
    WITH_AGENCY   HANDED_OVER SENT_TO_BANK REVOKED
    HANDED_OVER   VALID WITH_AGENCY REVOKED            hand-over undone
    VALID         EXPIRED REVOKED

    payment       may become
    INACTIVE      ACTIVE BLOCKED
    ACTIVE        FROZEN BLOCKED
    FROZEN        ACTIVE BLOCKED                       lifted by who froze it, or by a stronger one
    BLOCKED       -

While its own holder has it FROZEN, they choose what becomes of its virtual cards (`cards_kept`):

    who froze it       virtual cards               changed by
    holder             stopped, unless kept        kept -> stopped at once; stopped -> kept signed
    support, bank      stopped                     -            (a holder's choice ends with it)
    (BLOCKED)          stopped                     -

VALID makes payment ACTIVE; EXPIRED and REVOKED make it BLOCKED. A Smart ID past its last day is
EXPIRED whatever its row says (`decide_by_date`); the worker's round makes it so.
"""

import enum
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from wallet.identifiers import BankId, HolderId, SmartIdId
from wallet.outcomes import Reason, Refused

YEARS_VALID: Final = 10


class IdentityState(enum.StrEnum):
    APPLIED = "APPLIED"
    CHECKED = "CHECKED"
    SENT_TO_BANK = "SENT_TO_BANK"
    PRINTED = "PRINTED"
    WITH_AGENCY = "WITH_AGENCY"
    HANDED_OVER = "HANDED_OVER"
    VALID = "VALID"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


class PaymentState(enum.StrEnum):
    INACTIVE = "INACTIVE"
    ACTIVE = "ACTIVE"
    FROZEN = "FROZEN"
    BLOCKED = "BLOCKED"


class Party(enum.StrEnum):
    """Who freezes. Whoever froze it, or a stronger party, lifts it: holder < support < bank."""

    HOLDER = "HOLDER"
    SUPPORT = "SUPPORT"
    BANK = "BANK"


_I = IdentityState
IDENTITY_MAY_BECOME: Final[Mapping[IdentityState, frozenset[IdentityState]]] = {
    _I.APPLIED: frozenset({_I.CHECKED, _I.REVOKED}),
    _I.CHECKED: frozenset({_I.SENT_TO_BANK, _I.REVOKED}),
    _I.SENT_TO_BANK: frozenset({_I.PRINTED, _I.REVOKED}),
    _I.PRINTED: frozenset({_I.WITH_AGENCY, _I.SENT_TO_BANK, _I.REVOKED}),
    _I.WITH_AGENCY: frozenset({_I.HANDED_OVER, _I.SENT_TO_BANK, _I.REVOKED}),
    _I.HANDED_OVER: frozenset({_I.VALID, _I.WITH_AGENCY, _I.REVOKED}),
    _I.VALID: frozenset({_I.EXPIRED, _I.REVOKED}),
    _I.EXPIRED: frozenset(),
    _I.REVOKED: frozenset(),
}

_P = PaymentState
PAYMENT_MAY_BECOME: Final[Mapping[PaymentState, frozenset[PaymentState]]] = {
    _P.INACTIVE: frozenset({_P.ACTIVE, _P.BLOCKED}),
    _P.ACTIVE: frozenset({_P.FROZEN, _P.BLOCKED}),
    _P.FROZEN: frozenset({_P.ACTIVE, _P.BLOCKED}),
    _P.BLOCKED: frozenset(),
}

_STRENGTH: Final = {Party.HOLDER: 0, Party.SUPPORT: 1, Party.BANK: 2}


class SmartId(Struct, frozen=True, kw_only=True):
    """A Smart ID as it may be shown: the last four digits of its number, once printed."""

    id: SmartIdId
    bank: BankId
    holder_id: HolderId
    identity_state: IdentityState
    payment_state: PaymentState
    last_four: str | None = None
    frozen_by: Party | None = None
    cards_kept: bool = False
    issued_on: date | None = None
    expires_on: date | None = None

    def view(self) -> dict[str, Any]:
        """What a door shows of it."""
        return {
            "id": str(self.id),
            "last_four": self.last_four,
            "identity_state": self.identity_state.value,
            "payment_state": self.payment_state.value,
            "frozen_by": self.frozen_by.value if self.frozen_by else None,
            "cards_kept": self.cards_kept,
            "issued_on": self.issued_on.isoformat() if self.issued_on else None,
            "expires_on": self.expires_on.isoformat() if self.expires_on else None,
        }


def expiry_of(issued_on: date) -> date:
    """Ten years on; 29 February becomes 28 February, as PostgreSQL's interval has it."""
    try:
        return issued_on.replace(year=issued_on.year + YEARS_VALID)
    except ValueError:
        return issued_on.replace(year=issued_on.year + YEARS_VALID, day=28)


def decide_by_date(smart_id: SmartId, today: date) -> SmartId:
    """The Smart ID as it stands on `today`: its last day is a good one, the day after is not."""
    valid = smart_id.identity_state is IdentityState.VALID
    if not valid or smart_id.expires_on is None or today <= smart_id.expires_on:
        return smart_id
    return decide_identity(smart_id, IdentityState.EXPIRED)


def decide_identity(smart_id: SmartId, to: IdentityState) -> SmartId:
    """The Smart ID after this step. Refuses: ILLEGAL_TRANSITION."""
    if to not in IDENTITY_MAY_BECOME[smart_id.identity_state]:
        raise Refused(Reason.ILLEGAL_TRANSITION, now=smart_id.identity_state.value, wanted=to.value)
    payment = smart_id.payment_state
    if to is IdentityState.VALID and payment is PaymentState.INACTIVE:
        payment = PaymentState.ACTIVE
    if to in (IdentityState.EXPIRED, IdentityState.REVOKED):
        payment = PaymentState.BLOCKED
    return _without_freeze(smart_id, identity_state=to, payment_state=payment)


def decide_freeze(smart_id: SmartId, by: Party, *, keep_cards: bool = False) -> SmartId:
    """The Smart ID frozen; `keep_cards`, of its holder alone: its virtual cards go on. What is
    stopped already is let go on by no freeze.

    Refuses: SMART_ID_NOT_ACTIVE, SMART_ID_CARDS_STOPPED, FORBIDDEN (a stronger party froze it, and
    the cards were to be kept).
    """
    kept = keep_cards and by is Party.HOLDER
    if smart_id.payment_state is PaymentState.FROZEN and smart_id.frozen_by is not None:
        if _STRENGTH[by] > _STRENGTH[smart_id.frozen_by]:
            return replace(smart_id, frozen_by=by, cards_kept=False)
        if kept and not smart_id.cards_kept:
            _refuse_stronger(smart_id, by)
            raise Refused(Reason.SMART_ID_CARDS_STOPPED)
        return replace(smart_id, cards_kept=smart_id.cards_kept and kept)
    if PaymentState.FROZEN not in PAYMENT_MAY_BECOME[smart_id.payment_state]:
        raise Refused(Reason.SMART_ID_NOT_ACTIVE, state=smart_id.payment_state.value)
    return replace(smart_id, payment_state=PaymentState.FROZEN, frozen_by=by, cards_kept=kept)


def decide_let_cards_go_on(smart_id: SmartId) -> SmartId:
    """The Smart ID still frozen by its holder, its virtual cards not; of one that is not frozen
    nothing changes.

    Refuses: SMART_ID_NOT_ACTIVE, FORBIDDEN (a stronger party froze it).
    """
    if smart_id.payment_state is PaymentState.ACTIVE:
        return smart_id
    if smart_id.payment_state is not PaymentState.FROZEN:
        raise Refused(Reason.SMART_ID_NOT_ACTIVE, state=smart_id.payment_state.value)
    _refuse_stronger(smart_id, Party.HOLDER)
    return replace(smart_id, cards_kept=True)


def decide_unfreeze(smart_id: SmartId, by: Party) -> SmartId:
    if smart_id.payment_state is PaymentState.ACTIVE:
        return smart_id
    if smart_id.payment_state is not PaymentState.FROZEN or smart_id.frozen_by is None:
        raise Refused(Reason.SMART_ID_NOT_ACTIVE, state=smart_id.payment_state.value)
    _refuse_stronger(smart_id, by)
    return _without_freeze(smart_id, payment_state=PaymentState.ACTIVE)


def decide_block(smart_id: SmartId, by: Party) -> SmartId:
    if by is Party.HOLDER:
        raise Refused(Reason.FORBIDDEN)
    return _without_freeze(smart_id, payment_state=PaymentState.BLOCKED)


def _refuse_stronger(smart_id: SmartId, by: Party) -> None:
    frozen_by = smart_id.frozen_by
    if frozen_by is not None and _STRENGTH[by] < _STRENGTH[frozen_by]:
        raise Refused(Reason.FORBIDDEN, frozen_by=frozen_by.value)


def _without_freeze(smart_id: SmartId, **states: Any) -> SmartId:
    return replace(smart_id, frozen_by=None, cards_kept=False, **states)

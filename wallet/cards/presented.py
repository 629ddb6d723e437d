"""Who stands at the machine: the Smart ID in its reader, and the bank's word about the PIN.

Promise: one check for every act of the ATM door, in one order, with one answer to the screen; the
precise reason goes to the audit. Whose books decide is configuration: the acquirer's own cards, or
where `serves_other_banks` says so, the issuer's.
Owns no table. Who calls: atm, at_machine; the ATM door (`books_for`).
"""

from msgspec import Struct

from wallet.cards.rules import CardRules
from wallet.cards.screens import Screen
from wallet.cards.states import decide_smart_id
from wallet.identifiers import BankId, Secret, luhn_valid
from wallet.outcomes import Declined, Reason
from wallet.registry import smart_ids
from wallet.registry.banks import PHYSICAL, PROGRAMME
from wallet.registry.states import IdentityState, SmartId
from wallet.vault import Vault
from wallet.work import Work


class InReader(Struct, frozen=True, kw_only=True):
    """The card as the bank's host read it. `pin_verified`: its HSM has checked the PIN block
    against this very card."""

    number: Secret[str]
    pin_verified: bool


class NotServedError(Exception):
    """Leaves a decision at the machine: what it is told, and why really."""

    def __init__(
        self, why: str, smart_id: SmartId | None = None, screen: Screen = Screen.NOT_POSSIBLE
    ) -> None:
        super().__init__(why)
        pairing = screen is Screen.PAIR_A_PHONE
        self.reason = Reason.PHONE_NOT_PAIRED if pairing else Reason.ATM_DECLINED
        self.screen = screen
        self.why = why
        self.smart_id = smart_id


def issuer_of(number: str) -> BankId | None:
    """The bank whose Smart ID number this is; None when it is nobody's."""
    if len(number) != 16 or not luhn_valid(number):
        return None
    for bank in PROGRAMME:
        if number.startswith(bank.iin + PHYSICAL):
            return bank.id
    return None


def books_for(rules: CardRules, acquirer: BankId, number: str) -> BankId:
    """The bank in whose books a request is decided: the issuer's when its cards are served here."""
    issuer = issuer_of(number)
    return issuer if issuer and rules.serves_other_banks else acquirer


async def presented(work: Work, vault: Vault, card: InReader, *, paying: bool = True) -> SmartId:
    """The Smart ID in the reader, its holder proven. `paying`: its payment state must be ACTIVE;
    otherwise it only proves who its holder is, frozen or not.

    Raises NotServedError.
    """
    number = card.number.reveal()
    issuer = issuer_of(number)
    if issuer is None:
        raise NotServedError("not a Smart ID number")
    if issuer != work.bank:
        raise NotServedError(f"a card of {issuer}", screen=Screen.OTHER_BANK)
    smart_id = await smart_ids.by_number(work, vault, number)
    if smart_id is None:
        raise NotServedError("unknown Smart ID")
    if not card.pin_verified:
        raise NotServedError("PIN not verified", smart_id)
    if paying:
        no = decide_smart_id(smart_id.identity_state, smart_id.payment_state)
        if no is not None:
            raise NotServedError(no.value, smart_id)
    elif smart_id.identity_state is not IdentityState.VALID:
        raise NotServedError(Reason.SMART_ID_NOT_ACTIVE.value, smart_id)
    return smart_id


def declined(work: Work, act: str, no: NotServedError, terminal: str, subject: str) -> Declined:
    """Tell the audit why, and the machine no more than its screen. `subject`: what it is filed
    under where the card is nobody's."""
    work.note(
        act,
        str(no.smart_id.id) if no.smart_id else subject,
        holder_id=no.smart_id.holder_id if no.smart_id else None,
        reason=f"{no.why} (terminal {terminal})",
    )
    return Declined(reason=no.reason, facts={"screen": no.screen.value})

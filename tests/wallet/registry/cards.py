"""A Smart ID in any state, for decisions that need no database."""

from datetime import date

from wallet.identifiers import BankId, HolderId, SmartIdId, new_id
from wallet.registry.states import IdentityState, PaymentState, SmartId


def card(
    identity: IdentityState = IdentityState.VALID,
    payment: PaymentState = PaymentState.ACTIVE,
) -> SmartId:
    return SmartId(
        id=SmartIdId(new_id()),
        bank=BankId("ACLEDA"),
        holder_id=HolderId(new_id()),
        identity_state=identity,
        payment_state=payment,
        last_four="0017",
        issued_on=date(2025, 1, 6),
        expires_on=date(2035, 1, 6),
    )

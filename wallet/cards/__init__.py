"""Virtual cards tied to the physical Smart ID: from the app or from an ATM.

Promise: a card pays only while it is ACTIVE and its Smart ID is VALID and ACTIVE; at most five
live cards a holder; two years and never past the Smart ID. Numbers are sealed in the vault,
check values stored nowhere, both shown only to the holder's phone. Every step of a card is in its
history, in the audit and in its holder's feed.

    rules.py       what is configuration              states.py    the states, every decision
    check_values.py  CVV, PVV    numbers.py  numbers, expiry, the check value that moves
    rows.py        read and lock    adding.py  new cards    changing.py  steps, history, events
    purchasing.py  what a purchase meets at the card, in groups    funding.py  in which currency
    create.py claim.py reveal.py renewing.py control.py    the intent kinds, and freezing
    following.py   to another Smart ID
    tokens.py tokenising.py token_service.py    in phones' wallets
    atm.py undo.py   asked for, reversed, lapsed at an ATM    claims.py  slips    screens.py
    presented.py  who stands there    at_machine.py  balance, entries    atm_cases.py
    proof.py       what must be true of them

Tables owned: virtual_cards, card_changes, card_standing_uses, card_tokens, atm_card_requests,
atm_card_cases.
Who calls: intents, the mobile, ATM and support doors, authorisations, the worker.
"""

from wallet.access.intents import IntentKind
from wallet.cards import claim, control, create, renewing, reveal, tokens
from wallet.cards.rules import CardRules, Issuing

__all__ = ["CardRules", "Issuing", "kinds"]


def kinds(issuing: Issuing) -> tuple[IntentKind, ...]:
    """Every intent kind of this room."""
    return (
        create.kind(issuing),
        claim.kind(issuing),
        reveal.kind(issuing),
        renewing.kind(issuing),
        tokens.kind(issuing),
        control.unfreeze_kind(),
        control.close_kind(),
        control.unfreeze_smart_id_kind(),
    )

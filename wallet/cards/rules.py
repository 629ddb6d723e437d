"""What is configuration in issuing virtual cards, with the programme's defaults.

Promise: every number here has a source in the facts; nothing here is decided in code elsewhere.
Owns no table. Who calls: this package; runtime makes one with the vault and hands it round.
"""

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct, field

from wallet.identifiers import BankId
from wallet.money import Currency
from wallet.vault import Vault


class CardRules(Struct, frozen=True, kw_only=True):
    """Count, price and life after ABA's virtual card, the nearest local model."""

    live_cards: int = 5
    years_valid: int = 2
    most_per_day: Mapping[Currency, int] = field(
        default_factory=lambda: {Currency.USD: 500_000, Currency.KHR: 20_000_000}
    )
    most_uses_per_day: int = 30

    claim_lifetime: timedelta = timedelta(minutes=10)
    claim_link: str = "https://app.smartid.example/claim/"
    claim_tries: int = 5
    atm_requests_per_day: int = 10
    serves_other_banks: bool = False
    """Whether one bank's ATM may make a card for another bank's Smart ID. The only public word
    is ACLEDA's, of its own cards, so: no, and the screen says which bank to go to."""

    iins: Mapping[BankId, str] = field(default_factory=dict)
    """What a bank's virtual card numbers begin with, 6 or 8 digits, where it is not its own IIN
    and "10". The one in force when a card is made counts; numbers made before stay good."""

    dynamic_cvv: bool = True
    """False: the fixed CVV2 of the schemes, for a bank whose acquirers cannot do with another."""
    cvv_step: timedelta = timedelta(minutes=5)
    cvv_steps_either_side: int = 1
    cvv_tries: int = 3
    """With three digits the count of tries is the control, not the arithmetic: so many wrong ones
    in a row lock the check value until the holder has the card shown again, signed and with a
    code."""
    tokens_per_card: int = 5

    shown_for_s: int = 60
    reveals_per_hour: int = 10


class Issuing(Struct, frozen=True, kw_only=True):
    """What issuing needs beside a Work: the vault and the rules."""

    vault: Vault
    rules: CardRules = field(default_factory=CardRules)

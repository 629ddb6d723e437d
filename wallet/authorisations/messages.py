"""What a card network says, in no network's own words: the messages of this room.

Promise: a door (simulator, switch) turns what it heard into a `Message` and nothing else; two
messages with one key are the same message exactly when their fingerprints are. Pure.

    key       the message's own: link, acquirer, terminal, RRN, STAN, local date, and its class.
              Never the transmission time, which networks rewrite on a repeat
    original  the key of the message that began the purchase; none: this one begins it

Who calls: the sim door, later the switch door; everything in this package.
"""

import enum
import hashlib
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct
from uuid_utils.compat import uuid5

from wallet.cards.purchasing import Presented
from wallet.identifiers import BankId, CardId
from wallet.limits import Channel
from wallet.money import Money

_NAMESPACE: Final = UUID("6f0a4c1e-5d0b-4c53-9a5e-0e7b8f3f2d11")


@lru_cache(8_192)
def _id_of(text: str) -> UUID:
    """Asked many times of each message while its group is served."""
    return uuid5(_NAMESPACE, text)


class Kind(enum.StrEnum):
    """What happened to a purchase; the names are Lithic's where it has one."""

    AUTHORIZATION = "AUTHORIZATION"
    INCREMENT = "AUTHORIZATION_INCREMENT"
    """Asks for so much more; may be declined, and then what was allowed stays."""
    ADVICE = "AUTHORIZATION_ADVICE"
    """Tells the new total (absolute, so a repeat is harmless), or what a stand-in approved for us:
    is always accepted."""
    REVERSAL = "AUTHORIZATION_REVERSAL"
    EXPIRY = "AUTHORIZATION_EXPIRY"
    CLEARING = "CLEARING"
    FINANCIAL = "FINANCIAL_AUTHORIZATION"
    """Allowed and taken in one message."""
    FORCE_POST = "FORCE_POST"
    RETURN = "RETURN"
    RETURN_REVERSAL = "RETURN_REVERSAL"
    """A return taken back: what had come back is taken again."""
    BALANCE_INQUIRY = "BALANCE_INQUIRY"


REQUESTS: Final = frozenset(
    {Kind.AUTHORIZATION, Kind.FINANCIAL, Kind.INCREMENT, Kind.BALANCE_INQUIRY}
)
"""What may be declined. Everything else tells what has happened already."""


class Merchant(Struct, frozen=True, kw_only=True):
    """Who is paid, as the network names them. `mcc` four digits (ISO 18245); `country` two letters
    (ISO 3166)."""

    id: str
    name: str
    mcc: str = "5999"
    country: str = "KH"


class Message(Struct, frozen=True, kw_only=True):
    """One message. `money` is what the network settles; a reversal without it is a full one, and
    with it tells what is left. `local`: the amount at the shop's own till, where that is another
    currency (minor units, three letters)."""

    kind: Kind
    bank: BankId
    key: str
    original: str | None = None
    network: str = "sim"
    card_id: CardId | None = None
    number_index: bytes | None = None
    """What the card is found by, where the network told its number."""
    presented: Presented | None = None
    """What was keyed in at the shop, to be checked with the card."""
    money: Money | None = None
    local: tuple[int, str] | None = None
    merchant: Merchant | None = None
    channel: Channel = Channel.ONLINE
    recurring: bool = False
    """Charged under a standing agreement."""
    deadline: datetime | None = None
    """From when on nobody waits for the answer: declined, and nothing stays held."""
    partial_ok: bool = False
    """A part of the amount would do (a fuel pump), if the wallet holds no more."""
    final: bool = True
    """Of a clearing: no more will come, what is still held is released."""
    stand_in: bool = False
    """The network said yes in our place."""
    lasts: timedelta | None = None
    """How long to hold, where the shop says so (a hotel); none: the programme's own time."""
    too_late: bool = False
    """Our own reversal of a request that was answered after its deadline."""
    unanswered: bool = False
    """Of a network's full reversal: it had no answer to the request, and told its shop no."""
    undoes: Kind = Kind.AUTHORIZATION
    """Of such a reversal: what kind of request. Of an increment only that is taken back."""

    @property
    def unheard(self) -> bool:
        """Whether it takes back, whole, what its shop never heard of: in our own word, or in the
        network's, which has it where we died between deciding and answering."""
        whole = self.kind is Kind.REVERSAL and self.money is None
        return whole and (self.too_late or self.unanswered)

    @property
    def lifecycle(self) -> str:
        """The key of the purchase it belongs to."""
        return self.key if self.original is None else self.original

    @property
    def message_key(self) -> str:
        """One network key may name a request, its reversal and its clearing: the class tells."""
        if self.too_late:
            return f"{TOO_LATE}{CLASSES[self.undoes]}|{self.key}"
        return f"{CLASSES[self.kind]}|{self.key}"

    @property
    def authorisation_id(self) -> UUID:
        """The one id a purchase has, whichever of its messages comes first."""
        return _id_of(f"{self.bank}|{self.lifecycle}")

    @property
    def event_id(self) -> UUID:
        return _id_of(f"{self.bank}|{self.message_key}")

    @property
    def fingerprint(self) -> bytes:
        """What a repeat must have in common: card, amount, kind, and what it is about."""
        about = (
            self.kind,
            self.lifecycle,
            None if self.card_id is None else str(self.card_id),
            None if self.number_index is None else self.number_index.hex(),
            None if self.money is None else (self.money.minor, self.money.currency.value),
            None if self.merchant is None else self.merchant.id,
        )
        return hashlib.sha256(msgspec.json.encode(about)).digest()


CLASSES: Final = {
    Kind.AUTHORIZATION: "request",
    Kind.FINANCIAL: "request",
    Kind.BALANCE_INQUIRY: "request",
    Kind.INCREMENT: "increment",
    Kind.ADVICE: "advice",
    Kind.REVERSAL: "reversal",
    Kind.EXPIRY: "expiry",
    Kind.CLEARING: "clearing",
    Kind.FORCE_POST: "clearing",
    Kind.RETURN: "return",
    Kind.RETURN_REVERSAL: "return_reversal",
}

TOO_LATE: Final = "too_late|"
"""Before the message key of a request that was answered after its deadline and undone for that."""


def undoing(message: Message) -> Message:
    """Our own reversal of a request whose answer came too late."""
    return Message(
        kind=Kind.REVERSAL,
        bank=message.bank,
        key=message.key,
        original=message.lifecycle,
        network=message.network,
        money=message.money if message.kind is Kind.INCREMENT else None,
        too_late=True,
        undoes=message.kind,
    )


def expiring(bank: BankId, lifecycle: str) -> Message:
    """Our own word that a purchase was held long enough."""
    return Message(kind=Kind.EXPIRY, bank=bank, key=lifecycle, original=lifecycle)

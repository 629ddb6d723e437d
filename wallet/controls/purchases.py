"""A purchase with a card, as controls are asked about it. Types only.

Promise: nothing of the card itself (no number, no check value), only what a rule may look at.
Who calls: the authorisations, which make one of each message; everything in this package.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from wallet.identifiers import CardId, HolderId
from wallet.limits import Channel, OwnLimits
from wallet.money import Money

Mcc = Annotated[str, Meta(pattern="^[0-9]{4}$")]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]


class Merchant(Struct, frozen=True, kw_only=True):
    """Who is paid, as the network names them. `mcc`: ISO 18245; `country`: ISO 3166 alpha-2."""

    id: str
    name: str = ""
    mcc: Mcc
    country: Country
    city: str = ""


class Purchase(Struct, frozen=True, kw_only=True):
    """One act with a card. `id` names the act (repeats of it must not come here twice).

    `amount` is what is counted: minor units of the currency the wallet is debited in. `moment` is
    when it is decided, `work.now`, or, of one to be given back, when it was counted. `own`: the
    limits that stand on the card itself. Not `another`: more money of a purchase counted before
    (an increment), which counts as money but not as a further purchase.
    """

    id: UUID
    card_id: CardId
    holder_id: HolderId
    amount: Money
    merchant: Merchant
    channel: Channel
    moment: datetime
    own: OwnLimits | None = None
    another: bool = True

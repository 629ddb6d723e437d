"""Receipts at the phones' door: proof of one entry, for whoever the holder shows it to.

Promise: a holder's own entries only, another's is as good as none; what is given verifies offline
with the published key (`smartid receipt verify`). Who calls: the app.
"""

import asyncio
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import get
from msgspec import Meta, Struct

from api.resources import Resources
from api.security import HolderCaller
from wallet.identifiers import TransferId
from wallet.seals import code, issuing, receipt
from wallet.seals.receipt import Form, Receipt

QrText = Annotated[
    str,
    Meta(
        description="The whole receipt again, as short as a QR code wants it.",
        examples=["SMARTID1:6BF9T4C3K0X+8/5W1N..."],
    ),
]


class OwnReceipt(Struct, frozen=True, kw_only=True):
    """Kept as a file, this verifies as it is."""

    receipt: Form
    qr_text: QrText


class ReceiptCode(Struct, frozen=True, kw_only=True):
    qr_text: QrText
    qr_png: Annotated[str, Meta(description="A `data:` URI.")]
    qr_svg: str


@get("/entries/{transfer_id:uuid}/receipt", summary="Proof of one of my entries")
async def own_receipt(transfer_id: UUID, caller: HolderCaller, resources: Resources) -> OwnReceipt:
    found = await _found(transfer_id, caller, resources)
    return OwnReceipt(receipt=receipt.form_of(found), qr_text=receipt.to_qr(found))


@get("/entries/{transfer_id:uuid}/receipt/qr", summary="The same proof as a QR code")
async def receipt_code(
    transfer_id: UUID, caller: HolderCaller, resources: Resources
) -> ReceiptCode:
    text = receipt.to_qr(await _found(transfer_id, caller, resources))
    # Drawing takes longer than a payment may wait for its turn.
    png, svg = await asyncio.to_thread(code.drawn, text)
    return ReceiptCode(qr_text=text, qr_png=png, qr_svg=svg)


async def _found(transfer_id: UUID, caller: HolderCaller, resources: Resources) -> Receipt:
    return await resources.works.read(
        caller.actor,
        caller.bank,
        lambda work: issuing.receipt_of(work, caller.holder_id, TransferId(transfer_id)),
    )


HANDLERS: Final[list[Any]] = [own_receipt, receipt_code]

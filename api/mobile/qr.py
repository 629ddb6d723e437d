"""Scanned codes at the phones' door: what a code says, before paying it is prepared as an intent.

Promise: nothing is written and no money is looked at; the text is read exactly as sent. Who calls:
the app's scanner, to show the payee and to ask an amount where the code names none.
"""

from datetime import datetime
from typing import Annotated, Final

from litestar import post
from msgspec import Meta, Struct

from api.resources import Resources
from api.security import HolderCaller
from api.wire import Body, MoneyOut, money_out
from wallet import qr
from wallet.qr import Decoded

EXAMPLE: Final = (
    "00020101021129190015lucky_mart@aclb5204599953031165802KH5910LUCKY MART6010Phnom Penh6304E86B"
)


class ScannedCode(Body, frozen=True, kw_only=True):
    """The text inside the code, untrimmed."""

    code: Annotated[str, Meta(max_length=4096, examples=[EXAMPLE])]


class ShownCode(Struct, frozen=True, kw_only=True):
    """A code as the app shows it. Names are the code's own until an intent says otherwise."""

    dynamic: Annotated[bool, Meta(description="Names its amount and is paid once.")]
    payee_name: str
    payee_city: str
    payee_account: str
    name_source: Annotated[
        str, Meta(description="`code`: as written in the code.", examples=["code"])
    ]
    currency: str
    amount: Annotated[MoneyOut | None, Meta(description="None: ask the holder for it.")]
    expires_at: datetime | None
    bill: str | None
    store: str | None
    purpose: str | None


@post("/qr/decode", status_code=200, summary="Read a scanned KHQR code", sync_to_thread=False)
def decode_code(data: ScannedCode, caller: HolderCaller, resources: Resources) -> ShownCode:
    return _shown(qr.decode(data.code, resources.clock.now()), caller.language)


def _shown(decoded: Decoded, language: str) -> ShownCode:
    return ShownCode(
        dynamic=decoded.dynamic,
        payee_name=decoded.payee_name,
        payee_city=decoded.payee_city,
        payee_account=decoded.payee_account,
        name_source=decoded.name_source,
        currency=decoded.currency.value,
        amount=None if decoded.amount is None else money_out(decoded.amount, language),
        expires_at=decoded.expires_at,
        bill=decoded.bill,
        store=decoded.store,
        purpose=decoded.purpose,
    )


HANDLERS: Final = (decode_code,)

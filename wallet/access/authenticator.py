"""The holder's authenticator app, enrolled by one intent and confirmed by another.

Promise: the secret is shown once, to the phone that signed for it, as the `otpauth://` text and as
a QR image of it; it counts for nothing until its first right code comes in. Replacing an
authenticator that is in use asks for a code besides the signature. Who calls: the mobile door.
"""

import base64
import io
from collections.abc import Sequence
from typing import Final

import qrcode
import qrcode.image.pure
import qrcode.image.svg
from msgspec import Struct

from wallet.access import otp, totp
from wallet.access.kinds import Asked, Consumed, IntentKind, Prepared
from wallet.events import SecurityNotice
from wallet.identifiers import HolderId
from wallet.outcomes import Done, GroupAnswer
from wallet.vault import Vault
from wallet.work import Work

ISSUER: Final = "Smart ID Wallet"


class Nothing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of intent that needs no fields."""


def enrol_kind(vault: Vault) -> IntentKind:
    """`totp.enrol`: answers, once, the `otpauth_uri` and its QR image as PNG and SVG."""

    async def prepare(work: Work, asked: Sequence[Asked]) -> Sequence[Prepared]:
        holders = [one.holder_id for one in asked]
        replacing = await otp.have_authenticator(work, holders)
        return [_ENROL_REPLACING if one in replacing else _ENROL for one in holders]

    async def authorise(work: Work, consumed: Sequence[Consumed]) -> Sequence[GroupAnswer]:
        secrets = await otp.enrol(work, vault, [one.holder_id for one in consumed])
        for one in consumed:
            work.note("totp.enrol", str(one.holder_id), holder_id=one.holder_id)
        return [_enrolled(one.holder_id, secrets[one.holder_id].reveal()) for one in consumed]

    return IntentKind(
        name="totp.enrol",
        fields=Nothing,
        prepare=prepare,
        authorise=authorise,
        recoverable=True,
    )


def confirm_kind(vault: Vault) -> IntentKind:
    """`totp.confirm`: authorised by the waiting authenticator's first code; answers, once, the ten
    recovery codes that may stand in for it when it has to be replaced."""

    async def prepare(work: Work, asked: Sequence[Asked]) -> Sequence[Prepared]:
        return [_CONFIRM for _ in asked]

    async def authorise(work: Work, consumed: Sequence[Consumed]) -> Sequence[GroupAnswer]:
        codes = await otp.activate(work, vault, [one.holder_id for one in consumed])
        for one in consumed:
            work.emit(SecurityNotice(holder_id=one.holder_id, what="totp_enrolled"))
        return [
            Done(
                answer={"authenticator": "ACTIVE"},
                secret={"recovery_codes": [code.reveal() for code in codes[one.holder_id]]},
            )
            for one in consumed
        ]

    return IntentKind(
        name="totp.confirm",
        fields=Nothing,
        prepare=prepare,
        authorise=authorise,
        awaited=True,
    )


def _enrolled(holder_id: HolderId, secret: str) -> Done:
    # the account's label is what the app lists it under: an id's tail tells two of them apart
    uri = totp.provisioning_uri(secret, account=f"Smart ID {str(holder_id)[-4:]}", issuer=ISSUER)
    return Done(
        answer={"authenticator": "ENROLLED"},
        secret={"otpauth_uri": uri, "qr_png": _png(uri), "qr_svg": _svg(uri)},
    )


def _png(text: str) -> str:
    """The QR code as a `data:` URI of a PNG image."""
    image = io.BytesIO()
    qrcode.make(text, image_factory=qrcode.image.pure.PyPNGImage).save(image)
    return "data:image/png;base64," + base64.b64encode(image.getvalue()).decode("ascii")


def _svg(text: str) -> str:
    image = io.BytesIO()
    qrcode.make(text, image_factory=qrcode.image.svg.SvgPathImage).save(image)
    return image.getvalue().decode("utf-8")


_ENROL: Final = Prepared(
    text_en="Set up a code app (authenticator) for your Smart ID wallet.",
    text_km="ភ្ជាប់កម្មវិធីលេខកូដសម្ងាត់ (authenticator) ជាមួយកាបូប Smart ID របស់អ្នក។",
    plan={},
)
_ENROL_REPLACING: Final = Prepared(
    text_en="Replace the code app (authenticator) of your Smart ID wallet by a new one.",
    text_km="ប្តូរកម្មវិធីលេខកូដសម្ងាត់ (authenticator) នៃកាបូប Smart ID របស់អ្នកទៅកម្មវិធីថ្មី។",
    plan={},
    ask_code=True,
)
_CONFIRM: Final = Prepared(
    text_en="Confirm your code app (authenticator) with the code it shows now.",
    text_km="បញ្ជាក់កម្មវិធីលេខកូដសម្ងាត់របស់អ្នក ដោយលេខកូដដែលវាបង្ហាញឥឡូវនេះ។",
    plan={},
)

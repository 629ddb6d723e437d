"""A virtual card's face as a picture for the app: SVG or PNG, drawn here, in Khmer and English.

Promise: the last four digits and never more of the number, no expiry beyond the printed month, no
check value; the QR code holds the card's id in the app's own link and can pay nothing. The same
card in the same state is the same bytes under the same ETag, drawn once and kept for a while. No
font and no picture comes from anywhere but this program and its dependencies. Who calls: the app.
"""

import hashlib
import json
from collections import OrderedDict
from functools import partial
from importlib.resources import files
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import fontpkg_noto_sans_khmer
import typst
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Parameter

from api.mobile.statements import Press
from api.resources import Resources
from api.security import HolderCaller
from wallet.cards import claims, rows
from wallet.cards.numbers import printed_expiry
from wallet.cards.states import OVER, Card, CardKind, CardState
from wallet.identifiers import CardId
from wallet.outcomes import Reason, Refused
from wallet.registry import banks, holders
from wallet.registry.holders import Holder
from wallet.work import Work

DESIGN: Final = 1
"""Counts up with every change of the drawing, so that no phone keeps an old one."""

KEPT_MOST: Final = 512
PIXELS_PER_INCH: Final = 300
FONT: Final = "Noto Sans Khmer"

_KINDS: Final = {
    CardKind.OPEN: ("កាតនិម្មិត", "Virtual card"),
    CardKind.SINGLE_USE: ("កាតប្រើតែម្តង", "Single use"),
    CardKind.MERCHANT_LOCKED: ("សម្រាប់ហាងតែមួយ", "One shop"),
    CardKind.RECURRING: ("បង់ជាប្រចាំ", "Subscription"),
}
_STOPPED: Final = {
    CardState.FROZEN: ("បានបង្កក", "Frozen"),
    CardState.ISSUED_PENDING_CLAIM: ("រង់ចាំការទទួល", "Waiting to be claimed"),
    CardState.CLOSED: ("បានបិទ", "Closed"),
    CardState.REVERSED: ("បានលុប", "Taken back"),
    CardState.EXPIRED: ("ផុតកំណត់", "Expired"),
}
_COLOURS: Final = {
    "ACLEDA": ("#123a7a", "#2f6fc4"),
    "CANADIA": ("#7a1220", "#c4452f"),
    "WING": ("#2f6b12", "#7cb82f"),
}
_GREY: Final = ("#4a4f57", "#7d848f")
Form = Literal["svg", "png"]
_TYPES: Final[dict[Form, str]] = {"svg": "image/svg+xml", "png": "image/png"}


class Studio:
    """Draws faces, one at a time beside the event loop, and keeps the last `KEPT_MOST`."""

    def __init__(self) -> None:
        self._press = Press()
        self._compiler: typst.Compiler | None = None
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    async def face(self, etag: str, shown: dict[str, str], form: Form) -> bytes:
        """The picture of this ETag. Refuses: BUSY."""
        kept = self._kept.get(etag)
        if kept is None:
            kept = await self._press.make(partial(self._draw, shown, form))
            self._kept[etag] = kept
            while len(self._kept) > KEPT_MOST:
                self._kept.popitem(last=False)
        return kept

    def _draw(self, shown: dict[str, str], form: Form) -> bytes:
        """Called in the press's thread: the font is opened there, at first need."""
        if self._compiler is None:
            folder = fontpkg_noto_sans_khmer.ROOT / "files"
            fonts = typst.Fonts(
                include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder]
            )
            # Its root is the font's folder: the drawing reads no file, and can reach nothing else.
            self._compiler = typst.Compiler(font_paths=fonts, root=folder)
        picture = self._compiler.compile(
            (files("api.mobile") / "card_art.typ").read_bytes(),
            format=form,
            ppi=PIXELS_PER_INCH,
            sys_inputs={"data": json.dumps(shown, ensure_ascii=False)},
        )
        assert isinstance(picture, bytes)  # noqa: S101 - one page is one picture
        return picture


STUDIO: Final = Studio()


def shown_of(card: Card, holder: Holder, state: CardState, link: str) -> dict[str, str]:
    """All that the picture shows."""
    bank = banks.named(card.bank)
    colours = _GREY if state in OVER else _COLOURS.get(card.bank, _GREY)
    stopped = _STOPPED.get(state, ("", ""))
    return {
        "bank_km": bank.name_km,
        "bank_en": bank.name_en,
        "kind_km": _KINDS[card.kind][0],
        "kind_en": _KINDS[card.kind][1],
        "last_four": card.last_four,
        "label": card.locked_name or card.label,
        "name_km": holder.name_khmer,
        "name_en": holder.name_latin,
        "expires": printed_expiry(card.expires_on),
        "currency": card.currency.value,
        "qr": claims.qr_svg(link),
        "from": colours[0],
        "to": colours[1],
        "stopped_km": stopped[0],
        "stopped_en": stopped[1],
    }


def etag_of(shown: dict[str, str], form: str) -> str:
    """Names these bytes: of what is shown, the form and the design."""
    text = json.dumps([DESIGN, form, shown], ensure_ascii=False, sort_keys=True)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


_DESCRIBED: Final = ResponseSpec(
    bytes,
    generate_examples=False,
    description="The picture: `image/svg+xml` or `image/png`, 85.6 x 54 mm.",
    media_type="image/svg+xml",
    examples=[Example(value="<svg ...")],
)

_FILES: Final[dict[str, Form]] = {"face.svg": "svg", "face.png": "png"}

File = Annotated[str, Parameter(description="`face.svg` or `face.png`.")]


@get(
    "/cards/{card_id:uuid}/{file:str}",
    summary="The face of one of my virtual cards, as a picture",
    media_type="image/svg+xml",
    responses={200: _DESCRIBED},
)
async def face(
    card_id: UUID,
    file: File,
    caller: HolderCaller,
    resources: Resources,
    request: Request[Any, Any, Any],
) -> Response[bytes]:
    form = _FILES.get(file)
    if form is None:
        raise Refused(Reason.NOT_FOUND)

    async def read(work: Work) -> tuple[Card, Holder, CardState]:
        card = await rows.by_id(work, CardId(card_id))
        holder = await holders.by_id(work, caller.holder_id)
        if card is None or holder is None or card.holder_id != caller.holder_id:
            raise Refused(Reason.NOT_FOUND)
        return card, holder, card.standing(work.now)

    card, holder, state = await resources.works.read(caller.actor, caller.bank, read)
    shown = shown_of(card, holder, state, f"https://{resources.policy.host}/cards/{card.id}")
    etag = etag_of(shown, form)
    headers = {"etag": etag, "cache-control": "private, no-cache"}
    if etag in [part.strip() for part in request.headers.get("if-none-match", "").split(",")]:
        return Response(b"", status_code=304, headers=headers)
    content = await STUDIO.face(etag, shown, form)
    return Response(content, media_type=_TYPES[form], headers=headers)


HANDLERS: Final[list[Any]] = [face]

"""What crosses the wire at every door: strict bodies, money, pages and their cursors.

Promise: a request body is decoded by its type alone, strictly (no unknown field, no number in a
string); money goes out as minor units with its display; a cursor means nothing to its holder and
a broken one is refused. Who calls: the doors.
"""

import base64
import binascii
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from litestar import Request
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.intake import needs_spelling, refuse_deep, spelt
from api.problems import FieldsRefused
from wallet.money import LARGEST_MINOR, Currency, Money
from wallet.outcomes import Reason, Refused

T = TypeVar("T")

LARGEST_BODY: Final = 64 * 1024
"""A route that takes more (a salary file) says so itself."""

PAGE: Final = 50
LARGEST_PAGE: Final = 100

Limit = Annotated[
    int, Parameter(query="limit", ge=1, le=LARGEST_PAGE, description="Items on one page.")
]
Cursor = Annotated[
    str | None,
    Parameter(
        query="cursor", max_length=512, description="`next` of the page before; none for the first."
    ),
]


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every request body, and every Struct inside one, derives from."""


class StepUp(Body, frozen=True, kw_only=True):
    """What a second person sends: the proof that it is them, now. Never printed."""

    totp: Annotated[
        str,
        Meta(
            min_length=6,
            max_length=6,
            description="A fresh time code of the approver. After a wrong one, a new key.",
            examples=["492039"],
        ),
    ]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class MoneyIn(Body, frozen=True, kw_only=True):
    """An amount a caller names."""

    amount_minor: Annotated[
        int, Meta(ge=1, le=LARGEST_MINOR, description="Riel, or US cents.", examples=[20_000])
    ]
    currency: Annotated[Literal["KHR", "USD"], Meta(examples=["KHR"])]

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, Currency(self.currency))


class MoneyOut(Struct, frozen=True, kw_only=True):
    """An amount as shown: minor units for programs, `display` for people."""

    amount_minor: Annotated[int, Meta(description="Riel, or US cents.", examples=[20_000])]
    currency: Annotated[Literal["KHR", "USD"], Meta(examples=["KHR"])]
    display: Annotated[str, Meta(examples=["20,000 KHR"])]


def money_out(money: Money, language: str = "en") -> MoneyOut:
    return MoneyOut(
        amount_minor=money.minor, currency=money.currency.value, display=money.display(language)
    )


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """Some items of a longer list; `next` is the cursor of the following page, if there is one."""

    items: list[T]
    next: str | None = None


def page_of(items: list[T], limit: int, key: Any) -> Page[T]:
    """The page out of `limit + 1` rows read; `key(item)` is the place in the order, a tuple."""
    more = len(items) > limit
    shown = items[:limit]
    return Page(items=shown, next=cursor_at(key(shown[-1])) if more else None)


def cursor_at(key: tuple[Any, ...]) -> str:
    """The cursor that stands right after this key."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(key)).rstrip(b"=").decode("ascii")


def read_cursor(cursor: str | None, into: type[T]) -> T | None:
    """The key in a cursor of ours, as the tuple type `into`. Refuses: CURSOR_INVALID."""
    if cursor is None:
        return None
    try:
        packed = base64.b64decode(
            cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        )
        return msgspec.msgpack.decode(packed, type=into)
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError, ValueError):
        raise Refused(Reason.CURSOR_INVALID) from None


class StrictRequest(Request[Any, Any, Any]):
    """Decodes a body straight into the handler's type: the framework's own way would turn "5" into
    5 and, for types that do not forbid it, drop what it does not know."""

    async def json(self) -> Any:
        field = self.route_handler.parsed_data_field
        annotation = Any if field is None else field.annotation
        return decoded(msgspec.json.Decoder(annotation), await self.body())


def decoded(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """A body as the type of its decoder, strictly, its text of one spelling.

    Refuses: INVALID_REQUEST, naming the field.
    """
    refuse_deep(body)
    try:
        found = decoder.decode(body)
        return spelt(found) if needs_spelling(body) else found
    except msgspec.ValidationError as error:
        raise FieldsRefused(named_field(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FieldsRefused({"body": "Expected JSON"}) from None


def named_field(message: str) -> dict[str, str]:
    """msgspec's `Expected ... - at `$.a.b`` as field and expectation."""
    told, _, place = message.partition(" - at `")
    return {place.rstrip("`").removeprefix("$").lstrip(".") or "body": told}

"""Intents at the phones' door: ask what will happen, authorise it, read what became of it.

Promise: the server's own words come back with the bytes to sign; authorising the same intent again
gives the same answer, without what is shown only once. Who calls: the app.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.response.base import ASGIResponse
from msgspec import Meta, Struct

from api.express import Stop
from api.mobile.kinds import kinds_of
from api.problems import FieldsRefused, answered
from api.resources import Resources
from api.security import HolderCaller
from api.wire import Body, named_field
from wallet.access import authorising, otp, reading
from wallet.access.challenges import Asking
from wallet.access.intents import Asked, Authorising
from wallet.access.signing import unbase64url
from wallet.identifiers import IntentId, Secret
from wallet.outcomes import Reason, Refused


class Wish(Body, frozen=True, kw_only=True):
    """What the holder wants done: the fields belong to the kind."""

    kind: Annotated[str, Meta(max_length=40, examples=["qr.pay"])]
    fields: dict[str, Any] = msgspec.field(default_factory=dict)


class Factors(Body, frozen=True, kw_only=True):
    """The device's signature over `canonical`, and a one-time password where `needs` asks for it.

    `kind` is the intent's own, as answered when it was prepared; named, it saves a look-up.
    """

    signature: Annotated[str, Meta(max_length=128, description="ES256, r || s, base64url.")]
    otp: Annotated[str, Meta(max_length=10, examples=["80514014"])] | None = None
    kind: Annotated[str, Meta(max_length=40, examples=["qr.pay"])] | None = None

    def __repr__(self) -> str:
        return "Factors(***)"


class Text(Struct, frozen=True, kw_only=True):
    en: str
    km: str


class Amount(Struct, frozen=True, kw_only=True):
    amount_minor: int
    currency: str


class Needs(Struct, frozen=True, kw_only=True):
    signature: bool
    otp: Annotated[str, Meta(description="`none` or `required`.")]
    otp_methods: list[str]


class PreparedIntent(Struct, frozen=True, kw_only=True):
    """What will happen, and what it needs. `canonical` is what the device signs."""

    id: str
    kind: str
    state: str
    text: Text
    money: Amount | None
    payee: str
    facts: dict[str, str | int]
    expires_at: str
    canonical: str
    nonce: str
    device_id: str
    holder_id: str
    needs: Needs


class ShownIntent(Struct, frozen=True, kw_only=True):
    """An intent as it stands: PENDING, DONE, DECLINED or EXPIRED."""

    id: str
    kind: Annotated[str, Meta(examples=["qr.pay"])]
    state: Annotated[str, Meta(examples=["DONE"])]
    text: Text
    money: Amount | None
    payee: str
    facts: dict[str, str | int]
    expires_at: str
    answer: dict[str, Any] | None
    reason: Annotated[str | None, Meta(examples=[None])]


class DoneIntent(Struct, frozen=True, kw_only=True):
    """The intent took effect. What is shown only once is in the first `answer` alone."""

    id: str
    state: str
    answer: dict[str, Any]


class SentCode(Struct, frozen=True, kw_only=True):
    expires_at: datetime
    channel: Annotated[
        str,
        Meta(
            description="`push`: to this phone, sealed to its key, and by SMS should the phone not"
            " be reached; `sms`. Asked for anew after a push, the code comes by SMS.",
            examples=["push"],
        ),
    ]


@post(
    "/intents",
    summary="Ask what an act will do, before it is authorised",
    responses={201: ResponseSpec(PreparedIntent, description="What will happen, to be signed.")},
)
async def prepare_intent(
    data: Wish, caller: HolderCaller, request: Request[Any, Any, Any]
) -> ASGIResponse:
    return _json(await _prepare(request.app, caller, data), 201)


async def _prepare(app: Litestar, caller: HolderCaller, data: Wish) -> bytes:
    resources: Resources = app.state.resources
    lanes = kinds_of(app).named(data.kind)
    fields = _fields_of(lanes.kind.fields, data.fields)
    asked = Asked(
        holder_id=caller.holder_id,
        device_id=caller.device_id,
        bank=caller.bank,
        language=caller.language,
        fields=fields,
        cooling=caller.cooling,
        unproven_minor=caller.unproven_minor,
    )
    outcome = await resources.teller.ask(lanes.prepare, caller.bank, asked)
    return msgspec.json.encode(answered(outcome))


def _json(body: bytes, status: int) -> ASGIResponse:
    return ASGIResponse(body=body, status_code=status, media_type=MediaType.JSON)


def _fields_of(into: type[Struct], given: dict[str, Any]) -> Struct:
    """The wish's fields as the kind's own. A field the kind does not know is refused here, whether
    or not its room thought of it."""
    unknown = given.keys() - set(into.__struct_encode_fields__)
    if unknown:
        raise FieldsRefused({f"fields.{name}": "No such field" for name in sorted(unknown)})
    try:
        return msgspec.convert(given, into, strict=True)
    except msgspec.ValidationError as error:
        told = {f"fields.{name}": why for name, why in named_field(str(error)).items()}
        raise FieldsRefused(told) from None


@post(
    "/intents/{intent_id:uuid}/authorise",
    status_code=200,
    summary="Authorise an intent",
    responses={200: ResponseSpec(DoneIntent, description="It took effect, now or before.")},
)
async def authorise_intent(
    intent_id: IntentId, data: Factors, caller: HolderCaller, request: Request[Any, Any, Any]
) -> ASGIResponse:
    return _json(await _authorise(request.app, caller, intent_id, data), 200)


async def _authorise(
    app: Litestar, caller: HolderCaller, intent_id: IntentId, data: Factors
) -> bytes:
    resources: Resources = app.state.resources
    if data.otp is not None and not otp.well_formed(data.otp):
        raise Refused(Reason.INVALID_REQUEST, field="otp")
    signature = unbase64url(data.signature, field="signature")
    lanes = kinds_of(app).named(data.kind or await _kind_of(intent_id, caller, resources))
    tried = Authorising(
        intent_id=intent_id,
        holder_id=caller.holder_id,
        device_id=caller.device_id,
        signature=signature,
        code=None if data.otp is None else Secret(data.otp),
    )
    teller, vault, throttle = resources.teller, resources.vault, resources.throttle
    outcome = await authorising.authorise(
        teller, vault, throttle, lanes.authorise, caller.actor, tried
    )
    done = {"id": str(intent_id), "state": "DONE", "answer": answered(outcome)}
    return msgspec.json.encode(done)


async def _kind_of(intent_id: IntentId, caller: HolderCaller, resources: Resources) -> str:
    return await resources.works.read(
        caller.actor,
        caller.bank,
        lambda work: reading.kind_of(work, intent_id, caller.holder_id),
    )


@get("/intents/{intent_id:uuid}", summary="What became of an intent")
async def show_intent(
    intent_id: IntentId, caller: HolderCaller, resources: Resources
) -> Response[ShownIntent]:
    shown: Any = await resources.works.read(
        caller.actor, caller.bank, lambda work: reading.seen(work, intent_id, caller.holder_id)
    )
    return Response(shown)


@post("/intents/{intent_id:uuid}/code", status_code=202, summary="Have a code sent, by push or SMS")
async def send_code(intent_id: IntentId, caller: HolderCaller, resources: Resources) -> SentCode:
    teller, vault, throttle = resources.teller, resources.vault, resources.throttle
    subject = await reading.subject_of(
        teller, caller.bank, intent_id, caller.device_id, caller.language
    )
    asked = await Asking(teller, vault, throttle).ask(caller.actor, subject)
    return SentCode(expires_at=asked.expires_at, channel=asked.channel.value)


async def _express_prepare(
    app: Litestar, caller: HolderCaller, _: dict[str, str], data: Wish
) -> bytes:
    return await _prepare(app, caller, data)


async def _express_authorise(
    app: Litestar, caller: HolderCaller, where: dict[str, str], data: Factors
) -> bytes:
    return await _authorise(app, caller, IntentId(UUID(where["intent_id"])), data)


EXPRESS: Final = (
    Stop(
        path=re.compile("/v1/mobile/intents"),
        template="/v1/mobile/intents",
        body=Wish,
        status=201,
        act=_express_prepare,
    ),
    Stop(
        # only the one spelling of an id that we give out: another is the framework's to judge
        path=re.compile(
            "/v1/mobile/intents/(?P<intent_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/authorise"
        ),
        template="/v1/mobile/intents/{intent_id}/authorise",
        body=Factors,
        status=200,
        act=_express_authorise,
    ),
)

HANDLERS: Final[list[Any]] = [prepare_intent, authorise_intent, show_intent, send_code]

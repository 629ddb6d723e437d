"""Pairing at the phones' door: show a code, wait, prove the key and set a PIN.

Promise: open to anybody, worth nothing until somebody with a stronger credential confirms it; the
secret of the phone that began is needed to look and to complete. Who calls: the app, before it has
a session.
"""

from typing import Annotated, Any, Final

from litestar import Request, Response, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import ANONYMOUS
from api.wire import Body
from wallet.access import pairings
from wallet.access.signing import point, unbase64url
from wallet.identifiers import PairingId, Secret
from wallet.outcomes import Reason, Refused
from wallet.throttle import RetryAfter

PER_MINUTE: Final = 120
BURST: Final = 240
"""From one address: behind a mobile operator's there are thousands of phones."""

PairingSecret = Annotated[
    str,
    Parameter(header="Pairing-Secret", max_length=128, description="As answered at the beginning."),
]


class NewPhone(Body, frozen=True, kw_only=True):
    public_key: Annotated[
        str,
        Meta(max_length=128, description="Uncompressed P-256 point, 65 bytes, base64url."),
    ]
    attestation: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=21_846,
                description="What the phone's maker says of the key, base64url; recorded.",
                examples=["omNmbXRkbm9uZQ"],
            ),
        ]
        | None
    ) = None


class BegunPairing(Struct, frozen=True, kw_only=True):
    """`code` is for the holder to enter at the ATM or to tell the clerk."""

    pairing_id: str
    code: Annotated[str, Meta(examples=["31415926"])]
    secret: str
    expires_at: str


class ShownPairing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """WAITING, REQUESTED, CONFIRMED (sign the `nonce` now), COMPLETED or EXPIRED."""

    pairing_id: str
    state: Annotated[str, Meta(examples=["CONFIRMED"])]
    expires_at: str
    nonce: str | None = None


class Proof(Body, frozen=True, kw_only=True):
    """The device's signature over ("cswallet.pair.v1", pairing_id, nonce), and the PIN to be."""

    signature: Annotated[str, Meta(max_length=128, description="ES256, r || s, base64url.")]
    pin: Annotated[str, Meta(min_length=6, max_length=6, description="Six digits, not obvious.")]

    def __repr__(self) -> str:
        return "Proof(***)"


class PairedDevice(Struct, frozen=True, kw_only=True):
    device_id: str
    holder_id: str
    cooling_until: str | None


@post("/pairings", opt=ANONYMOUS, security=[], summary="Begin pairing a phone")
async def begin_pairing(
    data: NewPhone, request: Request[Any, Any, Any], resources: Resources, idempotency_key: str
) -> Response[BegunPairing]:
    address = request.client.host if request.client else "unknown"
    admitted = await resources.throttle.admit(f"pairing:{address}", PER_MINUTE, BURST)
    if isinstance(admitted, RetryAfter):
        raise Refused(Reason.RATE_LIMITED, retry_after_s=admitted.seconds)
    public_key = point(data.public_key)
    attestation = None
    if data.attestation is not None:
        attestation = unbase64url(data.attestation, field="attestation")
    works, vault = resources.works, resources.vault
    begun: Any = answered(
        await pairings.begin(works, vault, public_key, idempotency_key, attestation)
    )
    return Response(begun, status_code=201)


@get("/pairings/{pairing_id:uuid}", opt=ANONYMOUS, security=[], summary="How far a pairing is")
async def show_pairing(
    pairing_id: PairingId, secret: PairingSecret, resources: Resources
) -> Response[ShownPairing]:
    shown: Any = await resources.works.read(
        pairings.ANYBODY, None, lambda work: pairings.look(work, pairing_id, secret)
    )
    return Response(shown)


@post(
    "/pairings/{pairing_id:uuid}/complete",
    opt=ANONYMOUS,
    security=[],
    summary="Prove the key, set the PIN",
)
async def complete_pairing(
    pairing_id: PairingId,
    data: Proof,
    secret: PairingSecret,
    resources: Resources,
    idempotency_key: str,
) -> Response[PairedDevice]:
    outcome = await pairings.complete(
        resources.works,
        resources.vault,
        resources.hashing,
        pairing_id,
        secret=secret,
        pin=Secret(data.pin),
        signature=unbase64url(data.signature, field="signature"),
        key=idempotency_key,
    )
    paired: Any = answered(outcome)
    return Response(paired, status_code=201)


HANDLERS: Final[list[Any]] = [begin_pairing, show_pairing, complete_pairing]

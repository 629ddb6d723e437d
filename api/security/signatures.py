"""Machines sign every request (RFC 9421): ATM hosts, banks' and agencies' own systems.

Promise: exactly one signature, over exactly the components of the caller's profile, with exactly
the parameters listed here; the algorithm comes from the key's record; the digest is over the raw
body; a signature lives at most 60 s and its nonce is spent once: in Redis first, which costs
nobody a commit, and then in PostgreSQL, which remembers whatever Redis lost. Where the edge tells a
client certificate, it must be one of the same machine's. Who calls: the doors of machines.

This layer names the caller and knows nothing of what is asked.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import quote

import http_sf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    MappingKeyResolver,
    algorithms,
)
from litestar import Request, Router
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import Dependency
from msgspec import Struct

from api.security.answers import AnswerSigning, AnswerSigningWhereAsked
from api.security.callers import Connection, Machines, named_caller, resources_of, set_caller
from api.throttling import RouteClass, charging_strangers, throttled
from wallet.access import atm_hosts, machines
from wallet.access.machines import Algorithm, Machine, MachineKey, MachineKind, Spend
from wallet.access.staff import Member
from wallet.identifiers import AgencyId, BankId
from wallet.outcomes import Reason, Refused
from wallet.work import Actor


class Profile(NamedTuple):
    """What one kind of machine signs: the fixed set of components, and what for."""

    tag: str
    covered: frozenset[str]


_ALWAYS_COVERED: Final = frozenset(
    {'"@method"', '"@authority"', '"@path"', '"@query"', '"content-digest"', '"idempotency-key"'}
)
PROFILES: Final = {
    MachineKind.ATM: Profile("smartid-atm", _ALWAYS_COVERED | {'"x-terminal-id"'}),
    MachineKind.BANK: Profile("smartid-bank", _ALWAYS_COVERED),
    MachineKind.AGENCY: Profile("smartid-agency", _ALWAYS_COVERED),
}
PARAMETERS: Final = frozenset({"created", "expires", "nonce", "keyid", "tag"})
LONGEST_LIFE: Final = timedelta(seconds=60)
SKEW: Final = timedelta(seconds=60)
NONCE_KEPT_S: Final = int(machines.NONCE_KEPT.total_seconds())
FOR_MACHINES: Final = {"machines": True}
"""`opt=FOR_MACHINES`: at a staff door, this handler also answers the house's own signed systems."""

_ALGORITHMS: Final[dict[Algorithm, type[HTTPSignatureAlgorithm]]] = {
    Algorithm.ED25519: algorithms.ED25519,
    Algorithm.HMAC_SHA256: algorithms.HMAC_SHA256,
}
_SIGNED_FIELDS: Final = ("content-digest", "idempotency-key", "x-terminal-id")
_NONCE: Final = re.compile(r"[\x21-\x7e]{16,128}")
_TERMINAL: Final = re.compile(r"[A-Za-z0-9._-]{1,16}")
_ONE_SIGNATURE: Final = re.compile(r"[a-z*][a-z0-9_.*-]{0,63}=:([A-Za-z0-9+/=]{1,512}):")
_CERTIFICATE: Final = re.compile(r":([A-Za-z0-9+/=]{1,16384}):")


class AtmCaller(Struct, frozen=True, kw_only=True):
    """A bank's ATM host, speaking for one of its terminals."""

    bank: BankId
    terminal: str
    keyid: str

    @property
    def actor(self) -> Actor:
        return atm_hosts.actor_of(self.bank, self.terminal)


class MachineCaller(Struct, frozen=True, kw_only=True):
    """A bank's or an agency's own system, speaking for its house."""

    machine: Machine
    keyid: str

    @property
    def bank(self) -> BankId | None:
        return self.machine.bank

    @property
    def agency(self) -> AgencyId | None:
        return self.machine.agency

    @property
    def actor(self) -> Actor:
        return self.machine.actor


HouseCaller = Annotated[Member | MachineCaller, Dependency(skip_validation=True)]
"""A member of staff, or the signed system of the same house."""


def atm_door(path: str, handlers: Sequence[Any]) -> Router:
    """A router for ATM hosts: `caller: AtmCaller` by signature, without exception; every answer of
    it is signed."""
    return Router(
        path,
        route_handlers=handlers,
        guards=[_name_host],
        dependencies={"caller": Provide(_host)},
        middleware=[AnswerSigning],
        security=[{"atm": []}],
    )


async def _name_host(connection: Connection, handler: BaseRouteHandler) -> None:
    caller = await charging_strangers(connection, _host_of(connection))
    set_caller(connection, caller)
    await throttled(
        connection,
        RouteClass.MACHINE,
        terminal=f"{caller.bank}:{caller.terminal}",
        house=f"atm:{caller.bank}",
    )


async def _host_of(connection: Connection) -> AtmCaller:
    key, terminal = await signed_by_machine(connection, MachineKind.ATM)
    bank = key.machine.bank
    assert bank is not None  # noqa: S101 - a constraint: every ATM host is a bank's
    return AtmCaller(bank=bank, terminal=terminal, keyid=key.keyid)


def house_machines(kind: MachineKind) -> Machines:
    """For a staff door: names the house's own system where the handler is open to it. False when
    the request is not signed: then it is a person's."""

    async def name(connection: Connection, handler: BaseRouteHandler) -> bool:
        if "signature-input" not in connection.headers:
            return False
        key, _ = await charging_strangers(connection, signed_by_machine(connection, kind))
        if not handler.opt.get("machines"):
            raise Refused(Reason.FORBIDDEN)
        caller = MachineCaller(machine=key.machine, keyid=key.keyid)
        set_caller(connection, caller)
        await throttled(connection, RouteClass.MACHINE, house=f"{kind}:{key.machine.house}")
        return True

    return Machines(name, AnswerSigningWhereAsked)


async def signed_by_machine(connection: Connection, kind: MachineKind) -> tuple[MachineKey, str]:
    """Whose signature the request carries, and for which terminal; its nonce is spent.

    Refuses: SIGNATURE_INVALID, SIGNATURE_STALE, SIGNATURE_REPLAYED, TERMINAL_UNKNOWN,
    CERTIFICATE_UNKNOWN.
    """
    if not isinstance(connection, Request):
        raise Refused(Reason.UNAUTHENTICATED)
    resources = resources_of(connection)
    body = await connection.body()
    message = received(connection.scope, resources.policy.host)
    terminal = message.headers.get("x-terminal-id", "")
    keyid = _keyid(message)
    key = await machines.key_named(resources.works, resources.vault, keyid, terminal)
    if key is None or key.machine.kind is not kind:
        raise Refused(Reason.SIGNATURE_INVALID)
    parameters = verified(message, body, key)
    decide_fresh(parameters, resources.clock.now())
    shown = message.headers.get("client-cert")
    decide_certified(shown, key.certificates, required=resources.policy.certificates_required)
    if kind is MachineKind.ATM and not (_TERMINAL.fullmatch(terminal) and key.terminal_listed):
        raise Refused(Reason.TERMINAL_UNKNOWN)
    await _spend_nonce(connection, Spend(keyid=keyid, nonce=str(parameters["nonce"])))
    return key, terminal


async def _host(request: Request[Any, Any, Any]) -> AtmCaller:
    return named_caller(request, AtmCaller)


async def _spend_nonce(connection: Connection, spend: Spend) -> None:
    """In Redis where it answers, in PostgreSQL always."""
    resources = resources_of(connection)
    name = f"machine:{spend.keyid}:{spend.nonce}"
    try:
        fresh = await resources.throttle.spend_nonce(name, NONCE_KEPT_S)
    except Refused:
        fresh = True
    if not fresh:
        raise Refused(Reason.SIGNATURE_REPLAYED)
    await resources.teller.ask(machines.SPENDING, None, spend)


@dataclass(frozen=True, slots=True)
class Received:
    """A request as the signature library reads it. The authority is our own name, whatever the
    Host header says."""

    method: str
    url: str
    headers: dict[str, str]


def received(scope: Mapping[str, Any], authority: str) -> Received:
    """Refuses: SIGNATURE_INVALID for a field of ours that stands there twice."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in headers and (
            name in _SIGNED_FIELDS or name.startswith(("signature", "client-cert"))
        ):
            # Two lines of one field are signed as one list but read as the first or the last.
            raise Refused(Reason.SIGNATURE_INVALID)
        headers[name] = raw_value.decode("latin-1")
    return Received(str(scope["method"]), url_of(scope, authority), headers)


def url_of(scope: Mapping[str, Any], authority: str) -> str:
    raw_path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    query: bytes = scope.get("query_string", b"")
    path = raw_path.split(b"?")[0].decode("latin-1")
    return f"https://{authority}{path}" + (f"?{query.decode('latin-1')}" if query else "")


def _keyid(message: Received) -> str:
    try:
        field = message.headers["signature-input"].encode()
        parsed: Any = http_sf.parse(field, tltype="dictionary")
        [(_, parameters)] = parsed.values()
        return str(parameters["keyid"])
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Refused(Reason.SIGNATURE_INVALID) from None


def verified(message: Received, body: bytes, key: MachineKey) -> dict[str, int | str]:
    """The parameters of the message's one signature, over all that its profile covers, by this key.

    Refuses: SIGNATURE_INVALID.
    """
    material: Any = key.key.reveal()
    if key.algorithm is Algorithm.ED25519:
        material = Ed25519PublicKey.from_public_bytes(material)
    verifier = _Verifier(
        signature_algorithm=_ALGORITHMS[key.algorithm],
        key_resolver=MappingKeyResolver(public_keys={key.keyid: material}, private_keys={}),
    )
    if not _is_canonical(message.headers.get("signature", "")):
        raise Refused(Reason.SIGNATURE_INVALID)
    try:
        # Without a tag to pick by, the library itself refuses more than one signature.
        [result] = verifier.verify(message, max_age=None, body=body)
    except HTTPMessageSignaturesException:
        raise Refused(Reason.SIGNATURE_INVALID) from None
    covered = set(result.covered_components) - {'"@signature-params"'}
    profile = PROFILES[key.machine.kind]
    if covered != profile.covered or set(result.parameters) - {"alg"} != PARAMETERS:
        raise Refused(Reason.SIGNATURE_INVALID)
    if result.parameters["tag"] != profile.tag or not _NONCE.fullmatch(
        str(result.parameters["nonce"])
    ):
        raise Refused(Reason.SIGNATURE_INVALID)
    return result.parameters


def _is_canonical(field: str) -> bool:
    """Exactly one signature, spelt in the one way its bytes have: base64 has several, and what may
    be respelt is another message to whoever compares them."""
    found = _ONE_SIGNATURE.fullmatch(field)
    if found is None:
        return False
    try:
        return base64.b64encode(base64.b64decode(found[1], validate=True)).decode() == found[1]
    except binascii.Error:
        return False


def decide_fresh(parameters: Mapping[str, int | str], now: datetime) -> None:
    """Refuse a signature made more than 60 s from now either way, run out, or meant to last longer
    than 60 s. Refuses: SIGNATURE_STALE."""
    created, expires = int(parameters["created"]), int(parameters["expires"])
    life, seconds = expires - created, now.timestamp()
    skewed = abs(seconds - created) > SKEW.total_seconds()
    if skewed or expires < seconds or not 0 < life <= LONGEST_LIFE.total_seconds():
        raise Refused(Reason.SIGNATURE_STALE, server_time=int(seconds))


def decide_certified(shown: str | None, listed: frozenset[bytes], *, required: bool) -> None:
    """The certificate the edge saw (RFC 9440) must be one listed for the machine that signed; one
    must be shown where the machine lists any, or where the operator requires it.

    Refuses: CERTIFICATE_UNKNOWN.
    """
    if shown is None:
        if listed or required:
            raise Refused(Reason.CERTIFICATE_UNKNOWN)
        return
    found = _CERTIFICATE.fullmatch(shown)
    try:
        der = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        der = b""
    if hashlib.sha256(der).digest() not in listed:
        raise Refused(Reason.CERTIFICATE_UNKNOWN)


class _Verifier(HTTPMessageVerifier):
    """Leaves the times to `decide_fresh`, which goes by our clock and not the library's."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Checked after the signature."""

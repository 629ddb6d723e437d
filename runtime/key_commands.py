"""`smartid keys ...`: the keys and client certificates of ATM hosts, banks' and agencies' systems.

Promise: a secret is printed once, when it is made, and stands in the database sealed only; a
rotation leaves the old key good for its overlap, so that nobody is refused meanwhile; a revoked key
or certificate is unknown from the next request on. Called by runtime.cli.
"""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.resources import Resources
from runtime.settings import Settings, SettingsError
from wallet.access import machines
from wallet.access.machines import Algorithm, Issued, Machine, MachineKind
from wallet.identifiers import AgencyId, BankId
from wallet.outcomes import Reason, Refused
from wallet.work import Work, operator

T = TypeVar("T")

keys = typer.Typer(
    help="Keys and certificates of ATM hosts, banks' and agencies' systems; secrets of callbacks.",
    no_args_is_help=True,
)

Kind = Annotated[MachineKind, typer.Argument(help="Whose system: a bank's ATM host, a bank's own")]
House = Annotated[
    str, typer.Argument(help="The bank's or agency's code, as ACLEDA or MCS; or `operators`")
]
Alg = Annotated[
    Algorithm | None,
    typer.Option("--alg", help="Ed25519 where the host can; a provider's is always HMAC"),
]
PublicKey = Annotated[
    str | None,
    typer.Option(help="Its own Ed25519 public half, 32 bytes in base64; else a pair is made here"),
]
Certificate = Annotated[Path, typer.Argument(help="The client certificate, PEM or DER")]


@keys.command("issue")
def issue(
    context: typer.Context,
    kind: Kind,
    house: House,
    alg: Alg = None,
    public_key: PublicKey = None,
) -> None:
    """Give a system its first or second key; what is secret of it is shown this once."""
    machine, public = _machine(kind, house), _public(public_key)

    async def act(resources: Resources, work: Work) -> Issued:
        return await machines.issue(
            work, resources.vault, machine, algorithm=_algorithm(machine, alg), public_key=public
        )

    _tell(machine, _perform(context.obj, act))


@keys.command("rotate")
def rotate(
    context: typer.Context,
    kind: Kind,
    house: House,
    alg: Alg = None,
    public_key: PublicKey = None,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=720, help="How long the present key goes on")
    ] = 24,
) -> None:
    """Issue the next key; the present one ends by itself after the overlap."""
    machine, public = _machine(kind, house), _public(public_key)

    async def act(resources: Resources, work: Work) -> Issued:
        return await machines.rotate(
            work,
            resources.vault,
            machine,
            algorithm=_algorithm(machine, alg),
            public_key=public,
            overlap=timedelta(hours=overlap_hours),
        )

    _tell(machine, _perform(context.obj, act))


@keys.command("revoke")
def revoke(
    context: typer.Context,
    keyid: Annotated[str, typer.Argument(help="As `smartid keys list` names it")],
) -> None:
    """End a key at once."""
    _perform(context.obj, lambda _, work: machines.retire_key(work, keyid))
    print(f"{keyid} is revoked")


@keys.command("list")
def listed(context: typer.Context) -> None:
    """Every key there ever was, and how it stands. No material."""
    for key in _perform(context.obj, lambda _, work: machines.keys_listed(work)):
        state = "live"
        if key.retired_at is not None:
            state = f"ended {key.retired_at:%Y-%m-%d %H:%M}Z"
        elif key.ends_at is not None:
            state = f"ends {key.ends_at:%Y-%m-%d %H:%M}Z"
        print(f"{key.keyid:<24} {key.kind:<7} {key.house:<10} {key.alg:<12} {state}")


@keys.command("allow-certificate")
def allow_certificate(
    context: typer.Context, kind: Kind, house: House, certificate: Certificate
) -> None:
    """Let a system come with this client certificate; from its first one on it must show one."""
    machine, seen = _machine(kind, house), _fingerprint(certificate)
    _perform(context.obj, lambda _, work: machines.list_certificate(work, machine, seen))
    print(f"allowed: SHA-256 {seen.hex()}")


@keys.command("refuse-certificate")
def refuse_certificate(context: typer.Context, certificate: Certificate) -> None:
    """No longer accept this client certificate."""
    seen = _fingerprint(certificate)
    _perform(context.obj, lambda _, work: machines.remove_certificate(work, seen))
    print(f"refused from now on: SHA-256 {seen.hex()}")


def _perform(settings: Settings, act: Callable[[Resources, Work], Awaitable[T]]) -> T:
    from runtime.resources import open_resources
    from runtime.supervisor import own_servers

    async def run(complete: Settings) -> T:
        async with open_resources(complete) as resources:
            who = operator(settings.operator)
            return await resources.works.perform(who, None, lambda work: act(resources, work))

    with own_servers(settings) as (complete, _):
        try:
            return asyncio.run(run(complete))
        except Refused as refused:
            raise SettingsError(_WHY.get(refused.reason, refused.reason.value)) from None


def _machine(kind: MachineKind, house: str) -> Machine:
    if kind is MachineKind.AGENCY:
        return Machine(kind=kind, agency=AgencyId(house))
    if kind is MachineKind.PROVIDER:
        return Machine(kind=kind, provider=house)
    return Machine(kind=kind, bank=BankId(house))


def _algorithm(machine: Machine, asked: Algorithm | None) -> Algorithm:
    shared = machine.kind is MachineKind.PROVIDER
    return asked or (Algorithm.HMAC_SHA256 if shared else Algorithm.ED25519)


def _public(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
        return base64.b64decode(padded, validate=True)
    except ValueError:
        raise SettingsError("--public-key takes 32 bytes in base64") from None


def _fingerprint(file: Path) -> bytes:
    try:
        raw = file.read_bytes()
        pem = raw.lstrip().startswith(b"-----BEGIN")
        found = x509.load_pem_x509_certificate(raw) if pem else x509.load_der_x509_certificate(raw)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"{file} is no X.509 certificate, PEM or DER") from None
    return hashlib.sha256(found.public_bytes(Encoding.DER)).digest()


def _tell(machine: Machine, issued: Issued) -> None:
    print(f"keyid  {issued.keyid}")
    print(f"alg    {issued.algorithm}")
    if issued.secret is not None:
        shown = base64.b64encode(issued.secret.reveal()).decode("ascii")
        # Standard Webhooks' own spelling, which providers' pages take as it is
        prefix = "whsec_" if machine.kind is MachineKind.PROVIDER else ""
        print(f"secret {prefix}{shown}")
        print("       base64 of 32 bytes; shown this once: store it where the host keeps secrets")


_WHY = {
    Reason.NOT_FOUND: "there is no such key, certificate, provider, bank or agency"
    " (`smartid keys list`)",
    Reason.CONFLICT: "that is there already, or two keys are live: revoke the older one first",
    Reason.INVALID_REQUEST: "the key is not of the form its algorithm takes",
}

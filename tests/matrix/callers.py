"""Everybody who may call, as the matrix sends them: holders, staff of every house, machines, and
strangers with and without something to show."""

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from simulators.atm import AtmHost
from tests.desk import COOKIE, Desk
from wallet.access.machines import Algorithm, Machine, MachineKind, add_key
from wallet.access.sessions import token_hash
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, HolderId, Secret
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

DOORS = {"agency_officer": "agency", "bank_clerk": "bank", "support": "support", "admin": "admin"}


class Asked(Struct, frozen=True, kw_only=True):
    """One request: a route with its places filled in."""

    method: str
    path: str
    body: Any = None
    kind: str | None = None
    """The body's content type."""
    keyed: bool = False


class Caller:
    """Somebody at the door. `scheme` is how they say who they are, as the document names it; `door`
    where they belong; `realm` whose objects are theirs."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        name: str,
        scheme: str | None,
        *,
        door: str = "",
        realm: str = "",
        permissions: frozenset[str] = frozenset(),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.client = client
        self.name = name
        self.scheme = scheme
        self.door = door
        self.realm = realm
        self.permissions = permissions
        self.headers = dict(headers or {})

    def __repr__(self) -> str:
        return self.name

    async def ask(self, asked: Asked) -> httpx.Response:
        headers = {**self.headers, **_told(asked)}
        content = _content(asked)
        if asked.path.endswith("/stream"):
            return await self._opened(asked, headers)
        return await self.client.request(asked.method, asked.path, content=content, headers=headers)

    async def _opened(self, asked: Asked, headers: dict[str, str]) -> httpx.Response:
        """A stream has no end to wait for; who may not have it is told so before it begins."""
        if self.scheme == "holder" and self.door == "mobile":
            return httpx.Response(200)
        return await self.client.request(asked.method, asked.path, headers=headers)


class Signing(Caller):
    """A machine, which signs each request."""

    def __init__(self, host: AtmHost, client: httpx.AsyncClient, name: str, **told: Any) -> None:
        super().__init__(client, name, **told)
        self.host = host

    async def ask(self, asked: Asked) -> httpx.Response:
        body = _content(asked) or b""
        request = self.host.signed(asked.method, asked.path, body, key=str(uuid4()))
        if asked.kind is not None:
            request.headers["content-type"] = asked.kind
        return await self.client.send(request)


def _told(asked: Asked) -> dict[str, str]:
    told = {"idempotency-key": str(uuid4())} if asked.keyed else {}
    return told if asked.kind is None else {**told, "content-type": asked.kind}


def _content(asked: Asked) -> bytes | None:
    if asked.body is None:
        return None
    if isinstance(asked.body, bytes | str):
        return asked.body if isinstance(asked.body, bytes) else asked.body.encode()
    return msgspec.json.encode(asked.body)


def strangers(client: httpx.AsyncClient) -> list[Caller]:
    """Nobody, and somebody with a token, a cookie or a signature that is nobody's."""
    token = secrets.token_urlsafe(32)
    signed = {
        "signature-input": 'sig1=("@method");created=1;keyid="nobody"',
        "signature": "sig1=:AAAA:",
    }
    return [
        Caller(client, "nobody", None),
        Caller(client, "a made-up token", None, headers={"authorization": f"Bearer {token}"}),
        Caller(client, "a made-up cookie", None, headers={"cookie": f"{COOKIE}={token}"}),
        Caller(client, "a made-up signature", None, headers=signed),
    ]


async def holder(
    client: httpx.AsyncClient, database_url: str, name: str, holder_id: HolderId, clock: TurnedClock
) -> Caller:
    """A holder signed in on the phone they have, or on one given to them here."""
    token = secrets.token_urlsafe(32)
    admin = await asyncpg.connect(database_url)
    await admin.execute(_PHONE, uuid4(), holder_id, bytes([4]) + secrets.token_bytes(64))
    await admin.execute(_SESSION, token_hash(token), holder_id, clock.now())
    await admin.close()
    return Caller(
        client,
        name,
        "holder",
        door="mobile",
        realm=str(holder_id),
        headers={"authorization": f"Bearer {token}"},
    )


async def staff(client: httpx.AsyncClient, desk: Desk, login: str) -> Caller:
    if login not in desk.people:
        await desk.enrol(login)
    member = desk.member(login)
    return Caller(
        client,
        login,
        "staff",
        door=DOORS[member.kind.value],
        realm=member.bank or member.agency or "",
        permissions=member.permissions,
        headers=await desk.session(login),
    )


async def machine(
    client: httpx.AsyncClient, works: Works, vault: Vault, clock: TurnedClock, owner: Machine
) -> Caller:
    key = Ed25519PrivateKey.generate()
    keyid = f"matrix-{owner.kind.value}-{owner.bank or owner.agency}"

    async def admit(work: Work) -> None:
        await add_key(
            work,
            vault,
            machine=owner,
            keyid=keyid,
            algorithm=Algorithm.ED25519,
            key=Secret(key.public_key().public_bytes_raw()),
        )

    bank = BankId(owner.bank) if owner.bank else None
    await works.perform(SYSTEM, bank, admit)
    at_atm = owner.kind is MachineKind.ATM
    host = AtmHost(
        client,
        keyid=keyid,
        key=key,
        terminal="ATM1" if at_atm else "",
        clock=clock.now,
        attempts=1,
        tag=f"smartid-{owner.kind.value}",
    )
    return Signing(
        host,
        client,
        keyid,
        scheme="atm" if at_atm else "machine",
        door="atm" if at_atm else owner.kind.value,
        realm=owner.bank or owner.agency or "",
    )


_PHONE = """
insert into devices (id, bank, holder_id, public_key, state, channel, paired_at)
select $1, bank, id, $3, 'ACTIVE', 'atm', now() from holders
where id = $2 and not exists (select from devices where holder_id = $2 and state = 'ACTIVE')
"""

_SESSION = """
insert into sessions (token_hash, bank, holder_id, device_id, created_at, last_seen_at, expires_at)
select $1, bank, holder_id, id, $3, $3, $3::timestamptz + interval '30 minutes' from devices
where holder_id = $2 and state = 'ACTIVE'
on conflict (device_id) do update set token_hash = excluded.token_hash,
    created_at = excluded.created_at, last_seen_at = excluded.last_seen_at,
    expires_at = excluded.expires_at
"""

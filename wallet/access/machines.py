"""Machines that sign: ATM hosts, banks' and agencies' own systems, providers that call us back.

Promise: the algorithm comes from the key's record, never from the message; a machine has at most
two live keys, so that one can be changed in service; a secret is shown once, when it is issued, and
stands here sealed only; a nonce is spent once whatever becomes of Redis. Our answers carry a key of
our own, kept outside the database.

Tables owned: machine_keys, machine_certificates, machine_nonces.

    key: live --rotated--> live until ends_at --time--> ended        (its id is never used again)
         live or ending --retired--> retired, at once
    certificate: listed --removed--> removed

Who calls: the doors of machines (who signed this), webhooks, runtime (`smartid keys`, seed).
"""

import enum
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from wallet.database import CheckViolation, UniqueViolation
from wallet.identifiers import AgencyId, BankId, Secret
from wallet.outcomes import Done, GroupAnswer, Reason, Refused
from wallet.teller import Lane
from wallet.vault import Vault
from wallet.work import Actor, ActorKind, Work, Works

LIVE_KEYS: Final = 2
NONCE_KEPT: Final = timedelta(seconds=300)
"""Longer than the 120 s in which a signature can be fresh to clocks a minute off either way."""
OVERLAP: Final = timedelta(hours=24)
"""How long the old key goes on after a rotation, unless said otherwise."""


class Algorithm(enum.StrEnum):
    """RFC 9421 names. Ed25519 is preferred: the caller keeps the private half, so that who signed
    can be proved; HMAC is for hosts that cannot."""

    ED25519 = "ed25519"
    HMAC_SHA256 = "hmac-sha256"


class MachineKind(enum.StrEnum):
    ATM = "atm"
    """A bank's ATM host: its terminals are listed under the bank (`atm_hosts`)."""
    BANK = "bank"
    AGENCY = "agency"
    PROVIDER = "provider"
    """Whom we buy from: it opens no door, its secret signs what it calls us back with (`webhooks`).
    """


class Provider(enum.StrEnum):
    """Those who call us back."""

    OPERATORS = "operators"
    """The phone operators' aggregator."""


class Machine(Struct, frozen=True, kw_only=True):
    """Whose machine: of a bank (ATM host, own systems), of an agency, of a provider."""

    kind: MachineKind
    bank: BankId | None = None
    agency: AgencyId | None = None
    provider: str | None = None

    @property
    def house(self) -> str:
        return self.bank or self.agency or self.provider or ""

    @property
    def actor(self) -> Actor:
        """Named by house and not by key, so that a change of key keeps its repeats."""
        kind = _ACTORS[self.kind]
        return Actor(kind=kind, id=self.house, bank=self.bank, agency=self.agency)


def atm_host(bank: BankId) -> Machine:
    return Machine(kind=MachineKind.ATM, bank=bank)


class MachineKey(Struct, frozen=True, kw_only=True):
    """A live key: the public half (32 bytes) or the shared secret, and whose it is.

    `terminal_listed` says whether the terminal asked about stands under this key's bank;
    `certificates` are the SHA-256 fingerprints its owner may come with.
    """

    keyid: str
    machine: Machine
    algorithm: Algorithm
    key: Secret[bytes]
    terminal_listed: bool
    certificates: frozenset[bytes]


class Issued(Struct, frozen=True, kw_only=True):
    """A fresh key. `secret` is the HMAC secret or the private half, to be shown this once; None
    where the owner brought their own public half."""

    keyid: str
    algorithm: Algorithm
    secret: Secret[bytes] | None


class Listed(Struct, frozen=True, kw_only=True):
    """A key as operators see it. Never its material."""

    keyid: str
    kind: MachineKind
    house: str
    alg: Algorithm
    created_at: datetime
    ends_at: datetime | None
    retired_at: datetime | None


class Spend(Struct, frozen=True, kw_only=True):
    """A nonce of one key, to be spent."""

    keyid: str
    nonce: str


class AnswerKey(Struct, frozen=True, kw_only=True):
    """Our own signing key, the one machines know."""

    keyid: str
    private: Secret[Ed25519PrivateKey]
    public: bytes


async def key_named(works: Works, vault: Vault, keyid: str, terminal: str) -> MachineKey | None:
    """The live key of this id, or None; read afresh, so that a retired key is unknown at once."""

    async def look_up(work: Work) -> MachineKey | None:
        row = await work.row(_KEY, keyid, terminal, work.now)
        if row is None:
            return None
        if row["alg"] == Algorithm.ED25519:
            key = Secret(bytes(row["public_key"]))
        else:
            key = await vault.unseal(work, row["secret_sealed"], _SEALED_AS, _COLUMN, keyid)
        return MachineKey(
            keyid=keyid,
            machine=Machine(kind=MachineKind(row["kind"]), bank=row["bank"], agency=row["agency"]),
            algorithm=Algorithm(row["alg"]),
            key=key,
            terminal_listed=row["terminal_listed"],
            certificates=frozenset(bytes(one) for one in row["certificates"]),
        )

    return await works.read(_AT_THE_DOOR, None, look_up)


async def secrets_of(work: Work, vault: Vault, provider: Provider) -> dict[str, Secret[bytes]]:
    """A provider's live secrets, by key id: one, two while they are changed, or none."""
    rows = await work.rows(_SECRETS_OF, provider, work.now)
    return {
        row["keyid"]: await vault.unseal(
            work, row["secret_sealed"], _SEALED_AS, _COLUMN, row["keyid"]
        )
        for row in rows
    }


async def spend_nonces(work: Work, spends: Sequence[Spend]) -> list[GroupAnswer]:
    """Spend each nonce once, for good, whatever Redis remembers; what is older than a signature
    can be fresh is cleared away on the way. Two statements for a group of any size.

    Refuses: SIGNATURE_REPLAYED, a member.
    """
    pairs = {(spend.keyid, spend.nonce) for spend in spends}
    keyids, nonces = [pair[0] for pair in sorted(pairs)], [pair[1] for pair in sorted(pairs)]
    await work.execute(_FORGET_NONCES, work.now - 2 * NONCE_KEPT, _CLEARED_BESIDE)
    rows = await work.rows(_SPEND, keyids, nonces, work.now)
    fresh = {(row["keyid"], row["nonce"]) for row in rows}
    answers: list[GroupAnswer] = []
    for spend in spends:
        pair = (spend.keyid, spend.nonce)
        if pair in fresh:
            fresh.discard(pair)
            answers.append(Done(answer={}))
        else:
            answers.append(Refused(Reason.SIGNATURE_REPLAYED))
    return answers


async def forget_nonces(work: Work, before: datetime, most: int) -> int:
    """Drop up to `most` nonces spent before a moment, where no request comes any more to do so;
    answers how many. Refuses: nothing."""
    before = min(before, work.now - 2 * NONCE_KEPT)
    tag = await work.execute(_FORGET_NONCES, before, most)
    return int(tag.removeprefix("DELETE "))


SPENDING: Final[Lane[Spend]] = Lane("machine.nonce", spend_nonces)


async def issue(
    work: Work,
    vault: Vault,
    machine: Machine,
    *,
    algorithm: Algorithm,
    public_key: bytes | None = None,
    keyid: str | None = None,
) -> Issued:
    """Give a machine a key: its own public half, or one made here and shown once.

    Refuses: INVALID_REQUEST (form, a public half for HMAC, or a provider's that is not HMAC),
    CONFLICT (two live keys already, or the id was used before), NOT_FOUND (no such bank, agency or
    provider).
    """
    if public_key is not None and algorithm is not Algorithm.ED25519:
        raise Refused(Reason.INVALID_REQUEST, field="public_key")
    if machine.kind is MachineKind.PROVIDER:
        if algorithm is not Algorithm.HMAC_SHA256:
            raise Refused(Reason.INVALID_REQUEST, field="algorithm")
        if machine.provider not in set(Provider):
            raise Refused(Reason.NOT_FOUND, field="house")
    elif not await work.value(_HOUSE_STANDS, machine.bank, machine.agency):
        raise Refused(Reason.NOT_FOUND, field="house")
    secret: Secret[bytes] | None = None
    material = public_key
    if material is None:
        secret = Secret(secrets.token_bytes(32))
        material = secret.reveal()
        if algorithm is Algorithm.ED25519:
            private = Ed25519PrivateKey.from_private_bytes(material)
            material = private.public_key().public_bytes_raw()
    name = keyid or await _next_id(work, machine)
    await add_key(
        work, vault, machine=machine, keyid=name, algorithm=algorithm, key=Secret(material)
    )
    return Issued(keyid=name, algorithm=algorithm, secret=secret)


async def rotate(
    work: Work,
    vault: Vault,
    machine: Machine,
    *,
    algorithm: Algorithm,
    public_key: bytes | None = None,
    overlap: timedelta = OVERLAP,
) -> Issued:
    """Issue the next key and let the present one end after `overlap`; until then both are good.

    Refuses: as `issue`; NOT_FOUND (nothing to rotate), CONFLICT (a rotation is under way: end its
    older key first).
    """
    await work.execute(_LET_END, machine.kind, machine.house, work.now)
    live = await work.rows(_LIVE, machine.kind, machine.house)
    if not live:
        raise Refused(Reason.NOT_FOUND)
    if len(live) == LIVE_KEYS:
        raise Refused(Reason.CONFLICT, field="keyid")
    await work.execute(_END, live[0]["keyid"], work.now + overlap)
    work.note("machine_key.end", live[0]["keyid"])
    return await issue(work, vault, machine, algorithm=algorithm, public_key=public_key)


async def add_key(
    work: Work,
    vault: Vault,
    *,
    machine: Machine,
    keyid: str,
    algorithm: Algorithm,
    key: Secret[bytes],
) -> None:
    """Take in a key: an Ed25519 public key (32 bytes) or an HMAC secret (32 to 128 bytes).

    Refuses: INVALID_REQUEST (length, or form of `keyid`), CONFLICT (two live keys already, or the
    id was used before).
    """
    material = key.reveal()
    public = algorithm is Algorithm.ED25519
    if len(material) != 32 if public else not 32 <= len(material) <= 128:
        raise Refused(Reason.INVALID_REQUEST, field="key")
    await work.execute(_LET_END, machine.kind, machine.house, work.now)
    slots = {row["slot"] for row in await work.rows(_LIVE, machine.kind, machine.house)}
    free = [slot for slot in range(1, LIVE_KEYS + 1) if slot not in slots]
    if not free:
        raise Refused(Reason.CONFLICT, field="house")
    sealed = None
    if not public:
        scope = f"{machine.kind}:{machine.house}"
        sealed = await vault.seal(work, scope, _SEALED_AS, _COLUMN, keyid, material)
    opened = material if public else None
    whose = (machine.kind, machine.bank, machine.agency, machine.provider)
    try:
        await work.execute(_ADD_KEY, keyid, *whose, free[0], algorithm, opened, sealed, work.now)
    except UniqueViolation:
        raise Refused(Reason.CONFLICT, field="keyid") from None
    except CheckViolation:
        raise Refused(Reason.INVALID_REQUEST, field="keyid") from None
    work.note("machine_key.add", keyid)


async def retire_key(work: Work, keyid: str) -> None:
    """End a key at once; its id is never used again. Refuses: NOT_FOUND."""
    if await work.execute(_RETIRE_KEY, keyid, work.now) != "UPDATE 1":
        raise Refused(Reason.NOT_FOUND)
    work.note("machine_key.retire", keyid)


async def list_certificate(work: Work, machine: Machine, fingerprint: bytes) -> None:
    """Let a machine come with this client certificate (SHA-256 of its DER, 32 bytes).

    Refuses: INVALID_REQUEST (length), CONFLICT (listed before, here or elsewhere).
    """
    if len(fingerprint) != 32:
        raise Refused(Reason.INVALID_REQUEST, field="fingerprint")
    whose = (machine.kind, machine.bank, machine.agency)
    try:
        await work.execute(_ADD_CERTIFICATE, fingerprint, *whose, work.now)
    except UniqueViolation:
        raise Refused(Reason.CONFLICT, field="fingerprint") from None
    work.note("machine_certificate.add", fingerprint.hex())


async def remove_certificate(work: Work, fingerprint: bytes) -> None:
    """No longer, from the next request on. Refuses: NOT_FOUND."""
    if await work.execute(_REMOVE_CERTIFICATE, fingerprint, work.now) != "UPDATE 1":
        raise Refused(Reason.NOT_FOUND)
    work.note("machine_certificate.remove", fingerprint.hex())


async def keys_listed(work: Work) -> list[Listed]:
    """Every key there ever was, by owner, newest last."""
    return await work.structs(Listed, _KEYS)


def answer_key(vault: Vault) -> AnswerKey:
    """The key our answers to machines are signed with, derived from the key store."""
    private = Ed25519PrivateKey.from_private_bytes(vault.pepper("atm-answers"))
    public = private.public_key().public_bytes_raw()
    return AnswerKey(keyid="smartid-1", private=Secret(private), public=public)


async def _next_id(work: Work, machine: Machine) -> str:
    known = await work.value(_COUNT_KEYS, machine.kind, machine.house)
    return f"{machine.house.lower()}-{machine.kind}-{known + 1}"


_AT_THE_DOOR: Final = Actor(kind=ActorKind.ANONYMOUS, id="machine-door")
_COLUMN: Final = "secret_sealed"
# The table's first name: it is bound into what was sealed under it.
_SEALED_AS: Final = "atm_keys"
_ACTORS: Final = {
    MachineKind.ATM: ActorKind.ATM_HOST,
    MachineKind.BANK: ActorKind.BANK_HOST,
    MachineKind.AGENCY: ActorKind.AGENCY_HOST,
}

_KEY: Final = """
select k.kind, k.bank, k.agency, k.alg, k.public_key, k.secret_sealed,
    t.terminal is not null as terminal_listed,
    array(select c.fingerprint from machine_certificates c
          where c.kind = k.kind and coalesce(c.bank, c.agency) = coalesce(k.bank, k.agency)
              and c.removed_at is null) as certificates
from machine_keys k
left join atm_terminals t
    on t.bank = k.bank and t.terminal = $2 and t.removed_at is null
where k.keyid = $1 and k.kind <> 'provider' and k.retired_at is null
    and (k.ends_at is null or k.ends_at > $3)
"""

_SECRETS_OF: Final = """
select keyid, secret_sealed from machine_keys
where kind = 'provider' and provider = $1 and retired_at is null
    and (ends_at is null or ends_at > $2)
order by created_at desc, keyid
"""

_LIVE: Final = """
select keyid, slot from machine_keys
where kind = $1 and coalesce(bank, agency, provider) = $2 and retired_at is null
order by created_at, keyid
"""

# Ended by time: now the slot is free too.
_LET_END: Final = """
update machine_keys set retired_at = ends_at
where kind = $1 and coalesce(bank, agency, provider) = $2 and retired_at is null and ends_at <= $3
"""

_END: Final = "update machine_keys set ends_at = $2 where keyid = $1"

_ADD_KEY: Final = """
insert into machine_keys
    (keyid, kind, bank, agency, provider, slot, alg, public_key, secret_sealed, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

_RETIRE_KEY: Final = """
update machine_keys set retired_at = $2 where keyid = $1 and retired_at is null
"""

_COUNT_KEYS: Final = """
select count(*) from machine_keys where kind = $1 and coalesce(bank, agency, provider) = $2
"""

_HOUSE_STANDS: Final = """
select exists (select 1 from banks where id = $1) or exists (select 1 from agencies where id = $2)
"""

_KEYS: Final = """
select keyid, kind, coalesce(bank, agency, provider) as house, alg, created_at, ends_at, retired_at
from machine_keys order by house, kind, created_at, keyid
"""

_ADD_CERTIFICATE: Final = """
insert into machine_certificates (fingerprint, kind, bank, agency, added_at)
values ($1, $2, $3, $4, $5)
"""

_REMOVE_CERTIFICATE: Final = """
update machine_certificates set removed_at = $2 where fingerprint = $1 and removed_at is null
"""

_SPEND: Final = """
insert into machine_nonces (keyid, nonce, spent_at)
select keyid, nonce, $3 from unnest($1::text[], $2::text[]) as fresh (keyid, nonce)
on conflict do nothing
returning keyid, nonce
"""

_CLEARED_BESIDE: Final = 2_000
_FORGET_NONCES: Final = """
delete from machine_nonces where (keyid, nonce) in (
    select keyid, nonce from machine_nonces where spent_at < $1
    limit $2 for update skip locked)
"""

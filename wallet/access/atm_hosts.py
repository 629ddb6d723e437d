"""The banks' ATM hosts: whose key a signed request names, and which terminals stand behind it.

Promise: the algorithm comes from the key's record, never from the message; a bank has at most two
live keys, so that one can be changed in service; an HMAC secret stands here sealed only; a
terminal answers for its own bank alone. Our answers carry a key of our own, kept outside the
database.

Tables owned: atm_keys, atm_terminals.

    key: live --retired--> retired        terminal: listed --removed--> removed --added--> listed

Who calls: the ATM door (who signed this), seed and runtime (keys, terminals).
"""

import enum
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from wallet.database import CheckViolation, UniqueViolation
from wallet.identifiers import BankId, Secret
from wallet.outcomes import Reason, Refused
from wallet.vault import Vault
from wallet.work import Actor, ActorKind, Work, Works

LIVE_KEYS: Final = 2


class Algorithm(enum.StrEnum):
    """RFC 9421 names. Ed25519 is preferred: the bank keeps the private half, so that who signed
    can be proved; HMAC is for hosts that cannot."""

    ED25519 = "ed25519"
    HMAC_SHA256 = "hmac-sha256"


class HostKey(Struct, frozen=True, kw_only=True):
    """A live key: the public half (32 bytes) or the shared secret, and whose it is.

    `terminal_listed` says whether the terminal asked about stands under this key's bank.
    """

    keyid: str
    bank: BankId
    algorithm: Algorithm
    key: Secret[bytes]
    terminal_listed: bool


class AnswerKey(Struct, frozen=True, kw_only=True):
    """Our own signing key, the bank-facing one."""

    keyid: str
    private: Secret[Ed25519PrivateKey]
    public: bytes


def actor_of(bank: BankId, terminal: str) -> Actor:
    """The ATM host as an actor: named by terminal, so that a change of key keeps its repeats."""
    return Actor(kind=ActorKind.ATM_HOST, id=f"{bank}:{terminal}", bank=bank)


async def key_named(works: Works, vault: Vault, keyid: str, terminal: str) -> HostKey | None:
    """The live key of this id, or None; read afresh, so that a retired key is unknown at once."""

    async def look_up(work: Work) -> HostKey | None:
        row = await work.row(_KEY, keyid, terminal)
        if row is None:
            return None
        if row["alg"] == Algorithm.ED25519:
            key = Secret(bytes(row["public_key"]))
        else:
            key = await vault.unseal(work, row["secret_sealed"], "atm_keys", _COLUMN, keyid)
        return HostKey(
            keyid=keyid,
            bank=BankId(row["bank"]),
            algorithm=Algorithm(row["alg"]),
            key=key,
            terminal_listed=row["terminal_listed"],
        )

    return await works.read(_AT_THE_DOOR, None, look_up)


async def add_key(
    work: Work,
    vault: Vault,
    *,
    bank: BankId,
    keyid: str,
    algorithm: Algorithm,
    key: Secret[bytes],
) -> None:
    """Take in a host's key: an Ed25519 public key (32 bytes) or an HMAC secret (32 to 128 bytes).

    Refuses: INVALID_REQUEST (length, or form of `keyid`), CONFLICT (two live keys already, or the
    id was used before).
    """
    material = key.reveal()
    public = algorithm is Algorithm.ED25519
    if len(material) != 32 if public else not 32 <= len(material) <= 128:
        raise Refused(Reason.INVALID_REQUEST, field="key")
    slots = {row["slot"] for row in await work.rows(_LIVE_SLOTS, bank)}
    free = [slot for slot in range(1, LIVE_KEYS + 1) if slot not in slots]
    if not free:
        raise Refused(Reason.CONFLICT, field="bank")
    sealed = None
    if not public:
        sealed = await vault.seal(work, f"atm:{bank}", "atm_keys", _COLUMN, keyid, material)
    opened = material if public else None
    try:
        await work.execute(_ADD_KEY, keyid, bank, free[0], algorithm, opened, sealed, work.now)
    except UniqueViolation:
        raise Refused(Reason.CONFLICT, field="keyid") from None
    except CheckViolation:
        raise Refused(Reason.INVALID_REQUEST, field="keyid") from None
    work.note("atm_key.add", keyid)


async def retire_key(work: Work, keyid: str) -> None:
    """End a key at once; its id is never used again. Refuses: NOT_FOUND."""
    if await work.execute(_RETIRE_KEY, keyid, work.now) != "UPDATE 1":
        raise Refused(Reason.NOT_FOUND)
    work.note("atm_key.retire", keyid)


async def list_terminals(
    work: Work, bank: BankId, terminals: Sequence[str], places: Sequence[str]
) -> None:
    """List terminals (up to 16 of A-Z a-z 0-9 . _ -) and where they stand, in one statement.

    Refuses: INVALID_REQUEST (form).
    """
    try:
        await work.execute(_LIST, bank, list(terminals), list(places), work.now)
    except CheckViolation:
        raise Refused(Reason.INVALID_REQUEST, field="terminal") from None


async def remove_terminal(work: Work, bank: BankId, terminal: str) -> None:
    """Take a terminal off its bank's list. Refuses: NOT_FOUND."""
    if await work.execute(_REMOVE, bank, terminal, work.now) != "UPDATE 1":
        raise Refused(Reason.NOT_FOUND)
    work.note("atm_terminal.remove", f"{bank}:{terminal}")


async def place_of(work: Work, bank: BankId, terminal: str) -> str | None:
    """Where a terminal stands, as it is named to the holder."""
    place: str | None = await work.value(_PLACE, bank, terminal)
    return place


def answer_key(vault: Vault) -> AnswerKey:
    """The key our answers to ATM hosts are signed with, derived from the key store."""
    private = Ed25519PrivateKey.from_private_bytes(vault.pepper("atm-answers"))
    public = private.public_key().public_bytes_raw()
    return AnswerKey(keyid="smartid-1", private=Secret(private), public=public)


_AT_THE_DOOR: Final = Actor(kind=ActorKind.ANONYMOUS, id="atm-door")
_COLUMN: Final = "secret_sealed"

_KEY: Final = """
select k.bank, k.alg, k.public_key, k.secret_sealed, t.terminal is not null as terminal_listed
from atm_keys k
left join atm_terminals t
    on t.bank = k.bank and t.terminal = $2 and t.removed_at is null
where k.keyid = $1 and k.retired_at is null
"""

_LIVE_SLOTS: Final = "select slot from atm_keys where bank = $1 and retired_at is null"

_ADD_KEY: Final = """
insert into atm_keys (keyid, bank, slot, alg, public_key, secret_sealed, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
"""

_RETIRE_KEY: Final = """
update atm_keys set retired_at = $2 where keyid = $1 and retired_at is null
"""

_LIST: Final = """
insert into atm_terminals (bank, terminal, place, added_at)
select $1, terminal, place, $4 from unnest($2::text[], $3::text[]) as fresh (terminal, place)
on conflict (bank, terminal) do update set place = excluded.place, removed_at = null
"""

_REMOVE: Final = """
update atm_terminals set removed_at = $3
where bank = $1 and terminal = $2 and removed_at is null
"""

_PLACE: Final = "select place from atm_terminals where bank = $1 and terminal = $2"

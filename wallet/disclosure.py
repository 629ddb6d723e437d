"""What a bank holds on one person: everything that its clerks' database role may read of them.

Promise: complete, because it is read through the bank's own wall and grants: whatever the role
`smartid_bank` may read and that names the person is a section here (an architecture test compares
this list with the catalogue). The manifest says of every section how many rows it has and what they
hash to, so that two exports can be compared and a page that is missing is seen.

Tables owned: none. Who calls: the phone's door (for the holder, of every bank), the bank's door (of
its own), runtime's `smartid vault export`.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from wallet.identifiers import BankId, HolderId
from wallet.outcomes import Reason, Refused
from wallet.registry import banks
from wallet.work import Actor, ActorKind, Work, Works


class Listed(Struct, frozen=True, kw_only=True):
    """One section in the manifest. `sha256`: of its rows as JSON with sorted keys."""

    name: Annotated[str, Meta(examples=["smart_ids"])]
    rows: int
    sha256: Annotated[str, Meta(examples=["5f" * 32])]


class Held(Struct, frozen=True, kw_only=True):
    """What one bank holds: section -> rows, each as it stands, sealed fields left out."""

    bank: str
    manifest: list[Listed]
    sections: dict[str, list[dict[str, Any]]]


async def held_by_bank(work: Work, bank: BankId, holder_id: HolderId) -> Held:
    """What `bank` holds. Needs a Work behind the wall of that bank's clerks."""
    sections: dict[str, list[dict[str, Any]]] = {}
    for name, sql in SECTIONS.items():
        sections[name] = [row["row"] for row in await work.rows(sql, holder_id)]
    manifest = [
        Listed(name=name, rows=len(rows), sha256=hash_of(rows)) for name, rows in sections.items()
    ]
    return Held(bank=bank, manifest=manifest, sections=sections)


async def held_by_banks(works: Works, actor: Actor, holder_id: HolderId) -> list[Held]:
    """What every bank of the programme holds, each read as its own clerk would read it."""
    found: list[Held] = []
    for bank in banks.PROGRAMME:
        found.append(await _read(works, actor, bank.id, holder_id))
    return found


async def held_by_own_bank(work: Work, bank: BankId, holder_id: HolderId) -> Held:
    """For the bank's officer: what their bank holds, noted for the holder to see.

    Refuses: NOT_FOUND (nobody of this bank).
    """
    held = await held_by_bank(work, bank, holder_id)
    if not held.sections["identity"]:
        raise Refused(Reason.NOT_FOUND, field="holder_id")
    seen = [name for name, rows in held.sections.items() if rows]
    work.note("bank.export", str(holder_id), holder_id=holder_id, seen=seen)
    return held


async def _read(works: Works, actor: Actor, bank: BankId, holder_id: HolderId) -> Held:
    async def query(work: Work) -> Held:
        return await held_by_bank(work, bank, holder_id)

    return await works.read(actor, bank, query, as_caller=ActorKind.BANK_CLERK)


def hash_of(rows: list[dict[str, Any]]) -> str:
    return hashlib.sha256(msgspec.json.encode(rows, order="deterministic")).hexdigest()


_IDENTITY: Final = """
select to_jsonb(one) as row from (
    select h.id, h.bank, h.agency, h.staff_no, n.name_latin, n.name_khmer, h.language, h.status,
           h.created_at
    from holders h left join holder_names n on n.holder_id = h.id where h.id = $1) one
"""


def _of(table: str, without: str = "") -> str:
    left_out = f" - array[{without}]" if without else ""
    return f"""
        select to_jsonb(t){left_out} as row from {table} t where t.holder_id = $1
        order by to_jsonb(t)::text
    """  # noqa: S608 - of our own words alone


SECTIONS: Final[Mapping[str, str]] = {
    "identity": _IDENTITY,
    "smart_ids": _of("smart_ids", "'number_sealed', 'number_index'"),
    "applications": _of("applications"),
    "accounts": _of("accounts"),
    "limit_tiers": _of("limit_tiers"),
    "bank_requests": _of("bank_requests", "'maker', 'checker'"),
    "devices": _of("devices", "'public_key'"),
    "sessions": _of("sessions", "'token_hash'"),
    "pairings": _of("pairings", "'code_index', 'secret_hash', 'public_key', 'nonce'"),
    "pairing_tries": _of("pairing_tries"),
    "control_sheets": _of("control_sheets"),
    "number_changes": _of("number_changes", "'number_sealed', 'former_sealed'"),
}
"""Section -> its rows as JSON, of the holder $1. Sealed and hashed fields tell nothing and are left
out; the test names each."""

"""Wrapping keys that change while the program serves.

Promise: whatever is sealed stays readable at every moment: a new version wraps beside the older
ones, every data key is wrapped anew by it, page by page, and only when no data key needs an older
version is that one destroyed. A row that changed meanwhile is left to its changer. A process that
still wraps with a version that is being destroyed is sent back by the table itself and tries again
with the newest.

    rotate   a new version wraps; the older still unwrap
    rewrap   every data key under an older version is wrapped by the newest
    retire   an older version that wraps nothing is refused by the table, then destroyed

Tables owned: vault_keys, vault_wrapping (with the vault). Who calls: runtime's `smartid vault`.
"""

from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.vault import Rows, context_of
from wallet.vault.keystore import KeyStore, KeyStoreError

PAGE: Final = 1_000
FIRST: Final = UUID(int=0)


class Standing(Struct, frozen=True, kw_only=True):
    """What wraps what."""

    versions: list[int]
    """In the key store, the newest last."""
    least: int
    """Older ones are refused by the table."""
    wrapped: dict[int, int]
    """Version -> data keys that it wraps."""


async def standing(work: Rows, store: KeyStore) -> Standing:
    """How far a rotation is."""
    counted = await work.rows(_COUNT)
    least = await work.rows(_LEAST)
    return Standing(
        versions=store.versions(),
        least=least[0]["least_version"],
        wrapped={row["version"]: row["count"] for row in counted},
    )


async def rewrap(work: Rows, store: KeyStore, *, after: UUID, most: int = PAGE) -> tuple[UUID, int]:
    """Wrap the next data keys with the newest version, in the order of their ids.

    Answers the last id looked at and how many were wrapped anew; FIRST when there was none left.
    Raises KeyStoreError: an older version is no longer there.
    """
    newest = store.versions()[-1]
    found = await work.rows(_OLDER, after, newest, most)
    if not found:
        return FIRST, 0
    fresh: list[bytes] = []
    for row in found:
        context = context_of(row["key_id"], row["scope"])
        fresh.append(await store.wrap(await store.unwrap(row["wrapped"], context), context))
    changed = await work.rows(
        _REWRAP, [row["key_id"] for row in found], [row["wrapped"] for row in found], fresh
    )
    last: Any = found[-1]["key_id"]
    return last, len(changed)


async def retire(work: Rows, version: int) -> None:
    """Have the table refuse what this version or an older one wraps, for ever; once committed, the
    version may be destroyed in the key store. Raises KeyStoreError while it still wraps a key."""
    await work.execute(_HOLD)
    left = await work.rows(_STILL, version)
    if left:
        raise KeyStoreError(f"wrapping key {version} or an older one still wraps: rewrap first")
    await work.execute(_RAISE, version + 1)


_VERSION: Final = "get_byte(wrapped, 0) * 256 + get_byte(wrapped, 1)"

_COUNT: Final = f"""
select {_VERSION} as version, count(*) as count from vault_keys group by 1 order by 1
"""  # noqa: S608 - of our own words alone

_LEAST: Final = "select least_version from vault_wrapping"

_OLDER: Final = f"""
select key_id, scope, wrapped from vault_keys
where key_id > $1 and {_VERSION} < $2 order by key_id limit $3
"""  # noqa: S608 - constants

_REWRAP: Final = """
update vault_keys set wrapped = fresh.wrapped
from unnest($1::uuid[], $2::bytea[], $3::bytea[]) as fresh (key_id, was, wrapped)
where vault_keys.key_id = fresh.key_id and vault_keys.wrapped = fresh.was
returning vault_keys.key_id
"""

# Whoever is about to add a key waits, and is then told that its version is gone.
_HOLD: Final = "lock table vault_keys in share mode"

_STILL: Final = f"select from vault_keys where {_VERSION} <= $1 limit 1"

_RAISE: Final = "update vault_wrapping set least_version = greatest(least_version, $1)"

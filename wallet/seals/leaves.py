"""What of a journal or audit row is sealed: every column, as canonical bytes.

Promise: two rows that differ in any column differ in these bytes. Version 1 is: the number of
fields (4 bytes); then each field as its type (4 bytes), its length (4 bytes, all ones for null)
and its content. Numbers are big-endian; a moment is microseconds since 2000-01-01 UTC; text is
UTF-8. Columns that came later are `ADDED`: a row with none of them keeps the bytes it had before
they came, so what was sealed stays sealed, and one filled in afterwards is found. PostgreSQL's own
`record_send` writes the same bytes, so the server hashes rows where they lie, and a receipt is
verified without it; a test holds the two together, and another that no column is left out.
Who calls: sealing, issuing, proving, receipt.
"""

import enum
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

VERSION: Final = 1

Value = UUID | int | str | datetime | None


class Log(enum.IntEnum):
    """The two logs that are sealed. The number stands in every header."""

    TRANSFERS = 1
    AUDIT = 2

    @property
    def table(self) -> str:
        return self.name.lower()


class Kind(enum.IntEnum):
    """PostgreSQL's numbers of the types that occur."""

    INT8 = 20
    TEXT = 25
    MOMENT = 1184
    UUID = 2950
    XID8 = 5069


FIELDS: Final[Mapping[Log, Mapping[str, Kind]]] = {
    Log.TRANSFERS: {
        "id": Kind.UUID,
        "seq": Kind.INT8,
        "bank": Kind.TEXT,
        "phase": Kind.TEXT,
        "kind": Kind.TEXT,
        "debit_account_id": Kind.INT8,
        "credit_account_id": Kind.INT8,
        "amount_minor": Kind.INT8,
        "currency": Kind.TEXT,
        "pending_id": Kind.UUID,
        "expires_at": Kind.MOMENT,
        "reference": Kind.UUID,
        "how": Kind.TEXT,
        "requested_minor": Kind.INT8,
        "original_id": Kind.UUID,
        "at": Kind.MOMENT,
        "xid": Kind.XID8,
    },
    Log.AUDIT: {
        "seq": Kind.INT8,
        "at": Kind.MOMENT,
        "actor_kind": Kind.TEXT,
        "actor_id": Kind.TEXT,
        "bank": Kind.TEXT,
        "act": Kind.TEXT,
        "subject": Kind.TEXT,
        "holder_id": Kind.UUID,
        "reason": Kind.TEXT,
        "case_number": Kind.TEXT,
        "xid": Kind.XID8,
    },
}

ADDED: Final[Mapping[Log, Mapping[str, Kind]]] = {
    Log.TRANSFERS: {},
    Log.AUDIT: {"on_behalf_of": Kind.TEXT, "seen": Kind.TEXT},
}
"""Stand behind `FIELDS`, all of them, in a row where at least one is not null."""

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_NULL: Final = -1
_PYTHON_TYPES: Final[Mapping[Kind, type]] = {
    Kind.INT8: int,
    Kind.TEXT: str,
    Kind.MOMENT: datetime,
    Kind.UUID: UUID,
    Kind.XID8: int,
}


def leaf_sql(log: Log) -> str:
    """The SQL expression of a row's leaf hash."""
    return f"pg_catalog.sha256('\\x00'::bytea || {_row_sql(log)})"


def _row_sql(log: Log) -> str:
    plain = f"pg_catalog.record_send(row({', '.join(FIELDS[log])}))"
    if not ADDED[log]:
        return plain
    grown = f"pg_catalog.record_send(row({', '.join([*FIELDS[log], *ADDED[log]])}))"
    none = f"pg_catalog.num_nonnulls({', '.join(ADDED[log])}) = 0"
    return f"case when {none} then {plain} else {grown} end"


def canonical(log: Log, row: Mapping[str, Any]) -> bytes:
    """The bytes of a row whose keys are the log's columns.

    Raises ValueError for a field that is missing, of another type or out of range.
    """
    fields = dict(FIELDS[log])
    if any(row.get(name) is not None for name in ADDED[log]):
        fields |= ADDED[log]
    parts = [struct.pack(">i", len(fields))]
    for name, kind in fields.items():
        content = _content(name, kind, row)
        length = _NULL if content is None else len(content)
        parts.append(struct.pack(">Ii", kind, length))
        parts.append(content or b"")
    return b"".join(parts)


def read_back(log: Log, content: bytes) -> dict[str, Value]:
    """The row that `canonical` made these bytes of. Raises ValueError when it could not have."""
    place, row = 4, {}
    try:
        if struct.unpack_from(">i", content)[0] != len(FIELDS[log]):
            raise ValueError("another number of fields")
        for name, kind in FIELDS[log].items():
            told, length = struct.unpack_from(">Ii", content, place)
            if told != kind or length < _NULL or place + 8 + max(length, 0) > len(content):
                raise ValueError(f"{name} is not where it should be")
            place += 8
            row[name] = None if length == _NULL else _value(kind, content[place : place + length])
            place += max(length, 0)
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        raise ValueError("cut short or mangled") from error
    if canonical(log, row) != content:
        raise ValueError("not in the canonical form")
    return row


def _content(name: str, kind: Kind, row: Mapping[str, Any]) -> bytes | None:
    if name not in row:
        raise ValueError(f"{name} is missing")
    value = row[name]
    if value is None:
        return None
    if not isinstance(value, _PYTHON_TYPES[kind]) or isinstance(value, bool):
        raise ValueError(f"{name} is not a {_PYTHON_TYPES[kind].__name__}")
    try:
        match value:
            case UUID():
                return value.bytes
            case int():
                return value.to_bytes(8, "big", signed=True)
            case str():
                return value.encode()
            case datetime():
                since = (value - EPOCH) // timedelta(microseconds=1)
                return since.to_bytes(8, "big", signed=True)
    except (OverflowError, TypeError, UnicodeEncodeError):
        pass
    raise ValueError(f"{name} is out of range")


def _value(kind: Kind, content: bytes) -> Value:
    match kind:
        case Kind.UUID:
            return UUID(bytes=content)
        case Kind.TEXT:
            return content.decode()
        case Kind.INT8 | Kind.XID8:
            return int.from_bytes(content, "big", signed=True)
        case Kind.MOMENT:
            since = int.from_bytes(content, "big", signed=True)
            return EPOCH + timedelta(microseconds=since)

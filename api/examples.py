"""Examples for every body in the API's description, made from the schemas themselves.

Promise: what a type says of itself (`Meta(examples=...)`) is shown; what says nothing gets a value
fit for its name, else of its form; the same document always gets the same examples. Who calls:
description.
"""

from collections.abc import Mapping
from typing import Any, Final

DEEPEST: Final = 8

_OF_FORMAT: Final = {
    "uuid": "019bb000-6a11-7c3e-9d42-5b1f0e7a2c90",
    "date-time": "2026-01-12T02:00:00Z",
    "date": "2026-01-12",
    "time": "09:00:00",
    "uri": "https://wallet.smartid.test/claim/x",
    "byte": "AAECAwQ=",
}
_OF_TYPE: Final = {"integer": 1, "number": 1, "boolean": True, "string": "text", "null": None}

_OF_NAME: Final[Mapping[str, Any]] = {
    "account_no": "1100123453",
    "agency": "MCS",
    "asked_at_local": "2026-01-12 09:00",
    "bank": "ACLEDA",
    "bill": "INV-2026-0112",
    "case_number": "D-2026-000017",
    "challenge": "kT3vYbq0W2mX9uZs7LhD4A",
    "currency": "KHR",
    "en": "The name is written otherwise than on file.",
    "host": "wallet.smartid.test",
    "km": "ឈ្មោះសរសេរខុសពីឈ្មោះក្នុងបញ្ជី។",
    "label": "Online shopping",
    "language": "km",
    "last_four": "4242",
    "name_khmer": "សុខ សុវណ្ណារ៉ា",
    "name_latin": "SOK Sovannara",
    "next": "ktkkMDE5YmIwMDAtNmExMQ",
    "nonce": "Y0r5kqv2H8bTn1dLw6xJmA",
    "number": "1100123453",
    "payee": "LUCKY MART",
    "payee_account": "lucky_mart@aclb",
    "payee_city": "Phnom Penh",
    "payee_name": "LUCKY MART",
    "phone": "+85512345678",
    "pin": "274916",
    "product": "SMART-KHR-5000",
    "public_key": "BGD-1LolWp0xyWHrdMY1bWjASbiSO2H6bOZpYi5g8p-2eQP-EAi4vJmkGunp"
    "Vii8ZPLxsgwtfp9Rd6PClNRGIpk",
    "purpose": "Lunch",
    "reject_reason": "The photograph is not clear enough.",
    "qr_png": "data:image/png;base64,iVBORw0KGgo=",
    "qr_svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "qr_text": "https://wallet.smartid.test/claim/7KQM2XPDV4N8TCWJ3RHB6YFGZA",
    "secret": "pV1s8Qm3nXc0Zt6uRkYb2wLh5eJfAo9d7gTiKxNqMvE",
    "sha256": "5f" * 32,
    "signature": "kJ3c" * 21 + "kA",
    "smart_id_number": "9116010000123456",
    "staff_no": "0000012345",
    "store": "Riverside",
    "terminal_name": "Phsar Thmei, Phnom Penh",
    "token": "q7Zr2dXv8sKfLw1NbTy5MhJcPg0eUoAiV3x6RkYm4tE",
    "totp": "492039",
}
"""What a field of this name holds, in every type where it does not say otherwise itself. None is
real: the key is RFC 6979's public vector, numbers are of the test range."""

_OF_ENDING: Final = {
    "id": _OF_FORMAT["uuid"],
    "_at": _OF_FORMAT["date-time"],
    "_until": _OF_FORMAT["date-time"],
    "_minor": 20_000,
    "_s": 600,
}


def example_of(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int = 0, name: str = ""
) -> Any:
    """One value that fits `schema`, for the field `name`; `schemas` are the components."""
    reference = schema.get("$ref")
    if reference is not None:
        schema = schemas.get(reference.rpartition("/")[2], {})
    told = _told(schema)
    if told is not _NOTHING:
        return told
    if depth > DEEPEST:
        return None
    for choice in ("oneOf", "anyOf", "allOf"):
        if choice in schema:
            return example_of(_likeliest(schema[choice]), schemas, depth + 1, name)
    return _of_form(schema, schemas, depth, name)


_NOTHING: Final = object()


def _told(schema: Mapping[str, Any]) -> Any:
    for key in ("examples", "enum"):
        values = schema.get(key)
        if isinstance(values, list) and values:
            first = values[0]
            return first["value"] if isinstance(first, dict) and "value" in first else first
    for key in ("example", "const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    return _NOTHING


def _of_form(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int, name: str) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object" or "properties" in schema:
        return {
            field: example_of(part, schemas, depth + 1, field)
            for field, part in schema.get("properties", {}).items()
        }
    if kind == "array":
        return [example_of(schema.get("items", {}), schemas, depth + 1, name)]
    if kind == "string" and "format" in schema:
        return _OF_FORMAT.get(schema["format"], "text")
    by_name = _of_name(name)
    if kind in ("string", "integer") and type(by_name) is (str if kind == "string" else int):
        return by_name
    if kind == "integer":
        return schema.get("minimum", 1)
    return _OF_TYPE.get(str(kind))


def _of_name(name: str) -> Any:
    if name in _OF_NAME:
        return _OF_NAME[name]
    return next((value for end, value in _OF_ENDING.items() if name.endswith(end)), None)


def _likeliest(choices: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first that is not null: an optional field is shown filled in."""
    return next((one for one in choices if one.get("type") != "null"), {})

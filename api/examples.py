"""Examples for every body in the API's description, made from the schemas themselves.

Promise: what a type says of itself (`Meta(examples=...)`) is shown; what says nothing gets a value
of its form; the same document always gets the same examples. Who calls: description.
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


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int = 0) -> Any:
    """One value that fits `schema`; `schemas` are the document's components."""
    reference = schema.get("$ref")
    if reference is not None:
        schema = schemas.get(reference.rpartition("/")[2], {})
    told = _told(schema)
    if told is not None or depth > DEEPEST:
        return told
    for choice in ("oneOf", "anyOf", "allOf"):
        if choice in schema:
            return example_of(_likeliest(schema[choice]), schemas, depth + 1)
    return _of_form(schema, schemas, depth)


def _told(schema: Mapping[str, Any]) -> Any:
    for key in ("examples", "enum"):
        values = schema.get(key)
        if isinstance(values, list) and values:
            first = values[0]
            return first["value"] if isinstance(first, dict) and "value" in first else first
    for key in ("example", "const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    return None


def _of_form(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object" or "properties" in schema:
        return {
            name: example_of(part, schemas, depth + 1)
            for name, part in schema.get("properties", {}).items()
        }
    if kind == "array":
        return [example_of(schema.get("items", {}), schemas, depth + 1)]
    if kind == "string":
        return _OF_FORMAT.get(schema.get("format", ""), "text")
    if kind == "integer":
        return schema.get("minimum", 1)
    return _OF_TYPE.get(str(kind))


def _likeliest(choices: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first that is not null: an optional field is shown filled in."""
    return next((one for one in choices if one.get("type") != "null"), {})

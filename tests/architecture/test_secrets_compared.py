"""A10: what is secret, or stands for it, is compared in constant time and never with `==`.

Told by names, so a secret has to be called one: the last word of what stands on either side. What
is compared with a number, a member of an enumeration or a part of itself is no comparison of that
kind. Looking a hash up in a table is none either.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.house import files, named, tree

ROOMS = ("wallet/access", "wallet/cards", "api/security")
SECRET = re.compile(
    r"(?:.*_)?(?:hash|hashed|secret|token|code|codes|pin|cvv|signature|digest|mac|nonce|csrf"
    r"|passphrase|ticket|verifier|pepper|encoded|otp|totp|number|reveal)"
)
NO_SECRETS = {
    "payload_hash",  # of what two persons agree to, which both read
    "policy_hash",
}


def compared(module: ast.Module) -> Iterator[ast.Compare]:
    """Comparisons by equality with something secret on a side."""
    for node in ast.walk(module):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        equal = any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
        plain = any(_is_plain(side) for side in sides)
        if equal and not plain and any(map(_is_secret, sides)) and len(set(map(_root, sides))) > 1:
            yield node


def _is_secret(side: ast.expr) -> bool:
    name = _name(side)
    return SECRET.fullmatch(name) is not None and name not in NO_SECRETS


def _is_plain(side: ast.expr) -> bool:
    """A number, a length, nothing, or a member of an enumeration."""
    if isinstance(side, ast.Call):
        return _name(side.func) in ("len", "type")
    if isinstance(side, ast.Attribute):
        return isinstance(side.value, ast.Name) and side.value.id[:1].isupper()
    return isinstance(side, ast.Constant) and not isinstance(side.value, str | bytes)


def _name(side: ast.expr) -> str:
    match side:
        case ast.Name():
            return side.id.lstrip("_")
        case ast.Attribute():
            return side.attr.lstrip("_")
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key
        case ast.Subscript():
            return _name(side.value)
        case ast.Call():
            return _name(side.func)
    return ""


def _root(side: ast.expr) -> str:
    """The variable at the bottom; another place for each side that has none."""
    while not isinstance(side, ast.Name):
        inner = getattr(side, "value", None) or getattr(side, "left", None)
        inner = inner or getattr(side, "func", None)
        if not isinstance(inner, ast.expr):
            return f"line {side.lineno}:{side.col_offset}"
        side = inner
    return side.id


def test_no_secret_is_compared_by_equality() -> None:
    found = {
        f"{named(file)}:{node.lineno} {ast.unparse(node)}"
        for file in files(*ROOMS)
        for node in compared(tree(file))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "given == token",
        "row['token_hash'] != _hash(token)",
        "account.pin == pin",
        "secret.reveal() == text",
        "code_at(secret, now) == code",
        "hashed == held['ticket_hash']",
        "cvv == '123'",
    ],
)
def test_a_comparison_is_recognised(line: str) -> None:
    assert list(compared(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "len(code) == 6",
        "kind is Kind.TOTP",
        "pin[:3] == pin[3:]",
        "alg == Algorithm.ED25519",
        "hmac.compare_digest(token, given)",
        "tries_left == 0",
    ],
)
def test_what_is_no_comparison_of_a_secret_is_left_alone(line: str) -> None:
    assert not list(compared(ast.parse(line)))

"""What a browser tells of where a request came from, and the cookie that carries a staff session.

Promise: pure. The cookie is `__Host-` (this host only, never set by a neighbour or without TLS),
Secure, HttpOnly and SameSite=Strict, and ends with the browser; two of its name are none. A request
that a browser says came from elsewhere is refused at every staff route, signing in included, before
anything is looked up. Who calls: the staff doors.
"""

from collections.abc import Iterable
from typing import Any, Final

from litestar.connection import ASGIConnection

from wallet.outcomes import Reason, Refused

COOKIE: Final = "__Host-smartid-staff"
CSRF_HEADER: Final = "x-csrf-token"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_ATTRIBUTES: Final = "Path=/; Secure; HttpOnly; SameSite=Strict"

Connection = ASGIConnection[Any, Any, Any, Any]


def session_cookie(token: str) -> str:
    """The `Set-Cookie` that carries this session."""
    return f"{COOKIE}={token}; {_ATTRIBUTES}"


def ended_cookie() -> str:
    """The `Set-Cookie` that takes it back."""
    return f"{COOKIE}=; Max-Age=0; {_ATTRIBUTES}"


def token_in(connection: Connection) -> str:
    """The session's id as the cookie brings it. Refuses: UNAUTHENTICATED."""
    found = [
        value
        for line in _values(connection, b"cookie")
        for name, _, value in (pair.strip().partition("=") for pair in line.split(";"))
        if name == COOKIE
    ]
    if len(found) != 1 or len(found[0]) != 43:
        raise Refused(Reason.UNAUTHENTICATED)
    return found[0]


def is_write(connection: Connection) -> bool:
    return connection.scope.get("method") not in SAFE


def csrf_given(connection: Connection) -> str | None:
    given = _values(connection, CSRF_HEADER.encode())
    return given[0] if len(given) == 1 else None


def refuse_cross_site(connection: Connection, host: str) -> None:
    """By the browser's own word: `Sec-Fetch-Site` for every request, `Origin` for what writes.
    Programs send neither. Refuses: CROSS_SITE."""
    writes = is_write(connection)
    allowed = {"same-origin"} if writes else {"same-origin", "none"}
    if not allowed.issuperset(_values(connection, b"sec-fetch-site")):
        raise Refused(Reason.CROSS_SITE)
    if not {origin_of(host)}.issuperset(_values(connection, b"origin")):
        raise Refused(Reason.CROSS_SITE)


def origin_of(host: str) -> str:
    """The only origin that pages of ours have."""
    return f"https://{host}"


def _values(connection: Connection, name: bytes) -> list[str]:
    headers: Iterable[tuple[bytes, bytes]] = connection.scope["headers"]
    return [value.decode("latin-1") for known, value in headers if known == name]

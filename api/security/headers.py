"""Security headers on every answer, refusals and not-found ones included.

Promise: nothing is cached, framed, sniffed or referred; a page says itself what it may load (docs,
console), everything else may load nothing. Who calls: the application frame (`before_send`).
"""

from typing import Final

from litestar.types import Message, Scope

NOTHING_TO_LOAD: Final = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
OWN_PAGE: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)
"""For pages of our own: only what this server gives. Swagger UI writes style attributes."""

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", NOTHING_TO_LOAD.encode()),
)


async def secured(message: Message, scope: Scope) -> None:
    """Add what the handler has not set itself."""
    if message["type"] != "http.response.start":
        return
    headers = list(message.get("headers", ()))
    known = {bytes(name).lower() for name, _ in headers}
    headers.extend((name, value) for name, value in _ALWAYS if name not in known)
    message["headers"] = headers

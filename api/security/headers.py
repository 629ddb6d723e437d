"""Security headers on every answer, refusals and not-found ones included.

Promise: nothing is cached, framed, sniffed or referred; a page says itself what it may load (docs,
console), everything else may load nothing. Who calls: the application frame.
"""

from typing import Final

from litestar.types import Message, Send

NOTHING_TO_LOAD: Final = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
OWN_PAGE: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)
"""For pages of our own: only what this server gives. Swagger UI writes style attributes."""

ALWAYS: Final = (
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


def securing(send: Send) -> Send:
    """`send`, with the headers added that the handler has not set itself."""

    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            known = {bytes(name).lower() for name, _ in headers}
            headers.extend(pair for pair in ALWAYS if pair[0] not in known)
            message["headers"] = headers
        await send(message)

    return secured

"""What the proxy in front of us may tell about a caller, and what nobody else may.

Promise: an address or a client certificate in a header is taken only from proxies on the list; from
everyone else such headers are gone before anything reads them. With none listed, every request is
from whoever holds the connection. Who calls: the application frame, for every request.

The address is the right-most one of X-Forwarded-For that is no listed proxy's: what stands left of
it is the sender's own invention.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

TOLD_BY_PROXIES: Final = frozenset(
    {
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"client-cert",
        b"client-cert-chain",
    }
)
LONGEST_CHAIN: Final = 32
"""Addresses looked at, from the right."""


class Edge:
    """The list of trusted proxies, applied."""

    def __init__(self, proxies: Sequence[str]) -> None:
        self._proxies = [ip_network(proxy) for proxy in proxies]
        self._trusts = lru_cache(4096)(self._look)

    def settle(self, scope: Any) -> None:
        """Make `client` the caller's own address, and drop headers that are not to be believed."""
        told = [name for name, _ in scope["headers"] if name in TOLD_BY_PROXIES]
        if not told:
            return
        client = scope.get("client")
        if client is None or not self._trusts(client[0]):
            kept = [pair for pair in scope["headers"] if pair[0] not in TOLD_BY_PROXIES]
            scope["headers"] = kept
            return
        scope["client"] = (self._caller(client[0], scope["headers"]), 0)
        if told.count(b"client-cert") > 1:
            # Two cannot both be what the proxy saw: neither is believed.
            scope["headers"] = [p for p in scope["headers"] if p[0] != b"client-cert"]

    def _caller(self, peer: str, headers: Sequence[tuple[bytes, bytes]]) -> str:
        lines = [value for name, value in headers if name == b"x-forwarded-for"]
        chain = b",".join(lines).decode("latin-1").split(",")
        caller = peer
        for text in reversed(chain[-LONGEST_CHAIN:]):
            try:
                caller = str(ip_address(text.strip()))
            except ValueError:
                break  # no address: whoever is known so far
            if not self._trusts(caller):
                break
        return caller

    def _look(self, text: str) -> bool:
        try:
            address: Any = ip_address(text)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(
            address.version == network.version and address in network for network in self._proxies
        )

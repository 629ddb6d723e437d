"""B12: whatever byte of a signed request is changed, it is nobody's request any more."""

import random
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.security.signatures import received, verified
from simulators.atm import AtmHost
from tests.api.conftest import HOST
from wallet.access import machines
from wallet.access.machines import Algorithm, MachineKey
from wallet.identifiers import BankId, Secret
from wallet.outcomes import Refused

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SHARED = bytes(range(40))
BODY = b'{"smart_id_number":"9116010000000018","rrn":"601209000017","stan":"000017"}'
PATH = "/v1/atm/cards?lang=km&page=2"
COVERED_FIELDS = ("signature", "signature-input", "content-digest", "idempotency-key",
                  "x-terminal-id")  # fmt: skip


def key_of(algorithm: Algorithm) -> MachineKey:
    material = KEY.public_key().public_bytes_raw() if algorithm is Algorithm.ED25519 else SHARED
    return MachineKey(
        keyid="acleda-1",
        machine=machines.atm_host(BankId("ACLEDA")),
        algorithm=algorithm,
        key=Secret(material),
        terminal_listed=True,
        certificates=frozenset(),
    )


async def signed(algorithm: Algorithm) -> httpx.Request:
    key: Any = KEY if algorithm is Algorithm.ED25519 else SHARED
    async with httpx.AsyncClient(base_url=f"https://{HOST}") as client:
        host = AtmHost(client, keyid="acleda-1", key=key, terminal="ATM00001")
        return host.signed("POST", PATH, BODY, key="one-of-a-kind")


def scope_of(request: httpx.Request) -> dict[str, Any]:
    path, _, query = request.url.raw_path.partition(b"?")
    return {
        "method": request.method,
        "raw_path": path,
        "path": path.decode(),
        "query_string": query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }


def accepted(scope: dict[str, Any], body: bytes, key: MachineKey) -> bool:
    try:
        verified(received(scope, HOST), body, key)
    except Refused:
        return False
    return True


def flipped(chance: random.Random, scope: dict[str, Any], body: bytes) -> tuple[Any, bytes, str]:
    """The same request with one bit of one byte changed, and where."""
    scope = {**scope, "headers": list(scope["headers"])}
    place = chance.choice(["method", "raw_path", "query_string", "body", *COVERED_FIELDS])

    def flip(raw: bytes) -> bytes:
        at = chance.randrange(len(raw))
        return raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]

    if place == "body":
        return scope, flip(body), place
    if place == "method":
        scope["method"] = flip(scope["method"].encode()).decode("latin-1")
    elif place in scope:
        scope[place] = flip(scope[place])
    else:
        at = next(i for i, (name, _) in enumerate(scope["headers"]) if name.decode() == place)
        name, value = scope["headers"][at]
        scope["headers"][at] = (name, flip(value))
    return scope, body, place


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_of_5000_requests_with_one_bit_changed_none_is_accepted(algorithm: Algorithm) -> None:
    request, key = await signed(algorithm), key_of(algorithm)
    scope = scope_of(request)
    assert accepted(scope, BODY, key), "as signed it is good: the test can see acceptance"
    chance = random.Random(9421)
    for _ in range(2_500):
        changed, body, place = flipped(chance, scope, BODY)
        assert not accepted(changed, body, key), (place, changed)

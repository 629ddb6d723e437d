"""What providers call us back with: genuine, fresh, and heard once.

Promise: a message counts only under a live secret of its own provider (Standard Webhooks:
HMAC-SHA256 over `id.timestamp.body`, any one signature of the list), no more than five minutes old
or ahead, and its id once, whatever becomes of Redis. Without a secret nothing is genuine: an empty
key is none. What a message says of its matter is not believed here or anywhere: it is a hint to
look.

Owns no table (secrets and spent ids are `machines`'). Who calls: the callbacks' door.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from wallet.access import machines
from wallet.access.machines import Provider, Spend
from wallet.identifiers import Secret
from wallet.outcomes import Reason, Refused
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.work import Actor, ActorKind, Works

AGE_S: Final = 300
"""How far a message's timestamp may be from now, either way (Standard Webhooks' recommendation)."""
SHORTEST_SECRET: Final = 24
_ID: Final = re.compile(r"[\x21-\x7e]{1,100}")


async def hear(
    works: Works,
    teller: Teller,
    vault: Vault,
    provider: Provider,
    headers: Mapping[str, str],
    body: bytes,
) -> bool:
    """Whether this message is heard now; False when it was before, which a sender that lost our
    answer is not to blame for.

    Refuses: UNAUTHENTICATED (not genuine, too old, no live secret), BUSY.
    """
    now = works.clock.now()
    live = await works.read(
        _AT_THE_DOOR, None, lambda work: machines.secrets_of(work, vault, provider)
    )
    keyid = decide_genuine(headers, body, live, now)
    if keyid is None:
        raise Refused(Reason.UNAUTHENTICATED)
    # Spent under the provider's name: a repeat stays one while the secret is changed.
    nonce = Spend(keyid=f"provider:{provider}", nonce=headers["webhook-id"])
    try:
        await teller.ask(machines.SPENDING, None, nonce)
    except Refused as refused:
        if refused.reason is Reason.SIGNATURE_REPLAYED:
            return False
        raise
    return True


def decide_genuine(
    headers: Mapping[str, str],
    body: bytes,
    live: Mapping[str, Secret[bytes]],
    now: datetime,
) -> str | None:
    """The id of the secret that this message is signed with; None where it is none of these."""
    message_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not _ID.fullmatch(message_id):
        return None
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= 12):
        return None
    if abs(now.timestamp() - int(sent_at)) > AGE_S:
        return None
    signed = f"{message_id}.{sent_at}.".encode() + body
    offered = [_unbase64(one) for one in headers.get("webhook-signature", "").split()]
    for keyid, secret in live.items():
        if len(secret.reveal()) < SHORTEST_SECRET:
            continue
        wanted = hmac.digest(secret.reveal(), signed, hashlib.sha256)
        if any(hmac.compare_digest(wanted, one) for one in offered):
            return keyid
    return None


def _unbase64(signature: str) -> bytes:
    version, comma, text = signature.partition(",")
    if version != "v1" or not comma:
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


_AT_THE_DOOR: Final = Actor(kind=ActorKind.ANONYMOUS, id="callback-door")

"""An intent on its way into the table: worded, numbered, its canonical bytes laid out.

Promise: pure but for fresh randomness; the bytes answered to the phone are those its signature
will be checked against. Who calls: intents.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from unicodedata import normalize

from wallet.access import signing
from wallet.access.kinds import Asked, IntentKind, OtpPolicy, Prepared
from wallet.identifiers import IntentId, new_id
from wallet.money import Money
from wallet.outcomes import Declined, Done, Facts, GroupAnswer
from wallet.writes import as_json

LIFE: Final = timedelta(seconds=120)


class Draft:
    """An intent on its way into the table."""

    __slots__ = (
        "asked", "canonical", "expires_at", "id", "kind", "nonce", "otp_needed", "prepared",
        "text_en", "text_km", "tx_hash",
    )  # fmt: skip

    def __init__(
        self, kind: IntentKind, policy: OtpPolicy, asked: Asked, prepared: Prepared, now: datetime
    ) -> None:
        self.id = IntentId(new_id())
        self.kind = kind
        self.asked = asked
        self.prepared = prepared
        # one spelling of every letter: what is hashed here is what the phone hashes
        self.text_en = normalize("NFC", prepared.text_en)
        self.text_km = normalize("NFC", prepared.text_km)
        self.nonce = secrets.token_bytes(32)
        # whole seconds, since that is what is signed
        self.expires_at = now.replace(microsecond=0) + LIFE
        self.otp_needed = (
            kind.awaited
            or prepared.ask_code
            or policy.asks(prepared.money, new_payee=prepared.new_payee)
            or policy.asks_after(
                asked.moved_unproven(prepared.money), prepared.money, cooling=asked.cooling
            )
        )
        self.canonical = signing.transaction(
            intent_id=self.id,
            kind=kind.name,
            holder_id=asked.holder_id,
            device_id=asked.device_id,
            money=prepared.money,
            payee=prepared.payee,
            text_en=self.text_en,
            text_km=self.text_km,
            nonce=self.nonce,
            expires_at=self.expires_at,
        )
        self.tx_hash = hashlib.sha256(self.canonical).digest()

    def wire(self, *, has_authenticator: bool) -> dict[str, Any]:
        """What the phone is answered: the words, the bytes to sign, the factors asked for."""
        wire = shown(
            intent_id=self.id,
            kind=self.kind.name,
            state="PENDING",
            text_en=self.text_en,
            text_km=self.text_km,
            money=self.prepared.money,
            payee=self.prepared.payee,
            facts=self.prepared.facts,
            expires_at=self.expires_at,
        )
        methods = ["totp"] if has_authenticator or self.kind.awaited else []
        if not self.kind.awaited:
            methods.append("sms")
        if has_authenticator and self.kind.recoverable:
            methods.append("recovery")
        wire["canonical"] = signing.base64url(self.canonical)
        wire["nonce"] = signing.base64url(self.nonce)
        wire["device_id"] = str(self.asked.device_id)
        wire["holder_id"] = str(self.asked.holder_id)
        wire["needs"] = {
            "signature": True,
            "otp": "required" if self.otp_needed else "none",
            "otp_methods": methods if self.otp_needed else [],
        }
        return wire


def shown(
    *,
    intent_id: IntentId,
    kind: str,
    state: str,
    text_en: str,
    text_km: str,
    money: Money | None,
    payee: str,
    facts: Facts,
    expires_at: datetime,
) -> dict[str, Any]:
    """An intent as a phone may read it at any time."""
    return {
        "id": str(intent_id),
        "kind": kind,
        "state": state,
        "text": {"en": text_en, "km": text_km},
        "money": None
        if money is None
        else {"amount_minor": money.minor, "currency": money.currency.value},
        "payee": payee,
        "facts": facts,
        "expires_at": expires_at.isoformat().replace("+00:00", "Z"),
    }


def columns(fresh: Sequence[Draft]) -> tuple[list[Any], ...]:
    """The drafts turned on their side, one list a column, for one insert."""
    money = [one.prepared.money for one in fresh]
    return (
        [one.id for one in fresh],
        [one.asked.holder_id for one in fresh],
        [one.asked.device_id for one in fresh],
        [as_json(one.prepared.plan) for one in fresh],
        [one.text_en for one in fresh],
        [one.text_km for one in fresh],
        [as_json(one.prepared.facts) for one in fresh],
        [None if one is None else one.minor for one in money],
        [None if one is None else one.currency.value for one in money],
        [one.prepared.payee for one in fresh],
        [one.nonce for one in fresh],
        [one.tx_hash for one in fresh],
        [one.otp_needed for one in fresh],
        [one.asked.cooling for one in fresh],
    )


def resolutions(resolved: Sequence[tuple[IntentId, GroupAnswer]]) -> tuple[list[Any], ...]:
    """The columns of intents that are over: id, state, answer, reason, its facts."""
    done = [answer if isinstance(answer, Done) else None for _, answer in resolved]
    declined = [answer if isinstance(answer, Declined) else None for _, answer in resolved]
    return (
        [intent_id for intent_id, _ in resolved],
        ["DECLINED" if answer is None else "DONE" for answer in done],
        # the secret part is shown once and stays out of the table
        [None if answer is None else as_json(answer.answer) for answer in done],
        [None if answer is None else answer.reason.value for answer in declined],
        [None if answer is None else as_json(answer.facts) for answer in declined],
    )

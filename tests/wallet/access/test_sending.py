"""Codes on their way to a telephone: said what for, in one segment, only while they are good."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from tests import world
from tests.phones import Pocket, gift
from wallet.access import challenges, sending
from wallet.access.intents import OtpPolicy
from wallet.access.sending import Channels
from wallet.identifiers import BankId, DeviceId, HolderId, IntentId, Secret
from wallet.outcomes import Done
from wallet.registry import holders
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import SYSTEM, WORKER, Work, Works

CODED = gift(OtpPolicy.ALWAYS)


@pytest.fixture
async def pocket(works: Works, teller: Teller, vault: Vault, throttle: Throttle) -> Pocket:
    holder = await world.holder(works, vault=vault, phone="+85512345678")
    return await Pocket(works, teller, vault, holder, throttle=throttle).pair()


async def test_the_message_says_what_for_and_is_sent_once_per_challenge(pocket: Pocket) -> None:
    sent: list[dict[str, str]] = []

    class Port:
        async def send(self, *, to: str, text: str, ref: str) -> None:
            sent.append({"to": to, "text": text, "ref": ref})

    shown = await pocket.prepare(CODED)
    code = await pocket.ask_code(shown)
    [payload] = await jobs_of(pocket.works)
    assert set(payload) == {"bank", "challenge_id"}
    for _ in range(2):
        await send(pocket, Channels(sms=Port()), payload)
    assert sent[0] == sent[1]
    assert sent[0]["to"] == "+85512345678"
    assert sent[0]["text"] == f"{code} is your Smart ID code: Give 5000 to LUCKY."

    assert isinstance(await pocket.with_code(CODED, shown, code), Done)
    await send(pocket, Channels(sms=Port()), payload)
    assert len(sent) == 2, "a code already used is sent no more"


async def test_a_message_is_one_segment_in_both_languages() -> None:
    long = "ប" * 300
    for language, most in (("km", 70), ("en", 160)):
        text = challenges._worded(subject(long, language)).format(code="12345678")
        assert len(text) <= most
        assert text.startswith("12345678 ")


async def send(pocket: Pocket, channels: Channels, payload: dict[str, Any]) -> None:
    works, vault = pocket.works, pocket.vault
    await sending.send(works, vault, channels, phone_of(vault), WORKER, payload)


async def jobs_of(works: Works) -> list[dict[str, Any]]:
    async def read(work: Work) -> list[dict[str, Any]]:
        rows = await work.rows("select payload from jobs where name = 'otp.send' order by at")
        return [row["payload"] for row in rows]

    return await works.read(SYSTEM, None, read)


def phone_of(vault: Vault) -> Callable[[Work, HolderId], Awaitable[Secret[str] | None]]:
    return lambda work, holder_id: holders.phone(work, vault, holder_id)


def subject(act: str, language: str) -> challenges.Subject:
    return challenges.Subject(
        intent_id=IntentId(UUID(int=1)),
        holder_id=HolderId(UUID(int=2)),
        device_id=DeviceId(UUID(int=3)),
        bank=BankId("ACLEDA"),
        tx_hash=bytes(32),
        act=act,
        language=language,
        expires_at=datetime(2026, 1, 12, tzinfo=UTC),
    )

"""A person erased: unreadable live and in a dump restored later, while every sum is as before."""

import os
import re
import subprocess
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from api.resources import Resources
from notifications import inbox
from runtime.embedded import Embedded
from runtime.embedded_postgres import _binaries
from runtime.prove import all_checks
from runtime.vault_commands import export_of, shred_person
from tests import world
from tests.api.conftest import resources
from tests.behind import rows_of_all_banks
from tests.conftest import url_of
from tests.desk import Desk, desk, hashing, throttle
from tests.world import WorldHolder
from wallet.access import erasing, otp
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import BankId, HolderId, Secret, new_id
from wallet.ledger.proof import prove
from wallet.outcomes import Declined, Outcome, Reason, Refused
from wallet.registry import applications, holders
from wallet.registry.holders import ERASED_KHMER, ERASED_LATIN, HolderStatus
from wallet.vault import KeyGoneError, SoftwareKeyStore, Vault
from wallet.work import SYSTEM, Work, Works

__all__ = ["desk", "hashing", "resources", "throttle"]

PHONE = "+85512345678"
WHY = "order 2026/17 of two officers"

KEYS_APART = ("vault_keys", "holder_names")
"""Left out of the long-kept dumps (decision 0039)."""


@pytest.fixture
async def gone(resources: Resources) -> WorldHolder:
    """Somebody retired, with a telephone and an authenticator, and nothing in their wallets."""
    works, vault = resources.works, resources.vault
    holder = await world.holder(works, vault=vault, phone=PHONE)

    async def act(work: Work) -> None:
        await otp.enrol(work, vault, [holder.id])
        await otp.activate(work, vault, [holder.id])
        await holders.advance(work, [holder.id], HolderStatus.RETIRED)

    await works.perform(SYSTEM, holder.bank, act)
    return holder


async def ask(desk: Desk, holder_id: HolderId, why: str = WHY, by: str = "maker.acleda") -> Outcome:
    actor = desk.member(by).actor
    return await desk.works.perform(
        actor, actor.bank, lambda work: erasing.ask(work, holder_id, why)
    )


async def agree(
    desk: Desk,
    holder_id: HolderId,
    why: str = WHY,
    by: str = "checker.acleda",
    code: str | None = None,
) -> Outcome:
    actor, totp = desk.member(by).actor, Secret(code or desk.code())
    return await desk.works.perform(
        actor, actor.bank, lambda work: erasing.agree(work, desk.vault, holder_id, why, totp)
    )


@pytest.fixture
async def clerks(desk: Desk) -> Desk:
    for login in ("maker.acleda", "checker.acleda"):
        await desk.enrol(login)
    return desk


async def ordered(clerks: Desk, clock: TurnedClock, holder_id: HolderId) -> None:
    """Two of the bank's staff agree that this person be erased."""
    clock.advance(timedelta(seconds=30))
    assert not isinstance(await ask(clerks, holder_id), Declined)
    assert not isinstance(await agree(clerks, holder_id), Declined)


async def test_nobody_erases_alone_and_an_order_is_for_one_person_one_reason_one_time(
    resources: Resources, gone: WorldHolder, clerks: Desk, clock: TurnedClock
) -> None:
    async def refused(asking: Awaitable[object]) -> Reason:
        with pytest.raises(Refused) as caught:
            await asking
        return caught.value.reason

    assert await refused(shred_person(resources, gone.id, WHY)) is Reason.FOUR_EYES
    assert await refused(agree(clerks, gone.id)) is Reason.NOT_FOUND
    assert await refused(ask(clerks, gone.id, by="checker.acleda")) is Reason.FORBIDDEN
    assert await refused(ask(clerks, HolderId(new_id()))) is Reason.NOT_FOUND
    await ask(clerks, gone.id)
    assert await refused(agree(clerks, gone.id, by="maker.acleda")) is Reason.FOUR_EYES
    assert await refused(agree(clerks, gone.id, "another reason")) is Reason.CONFLICT
    wrong = await agree(clerks, gone.id, code="000000")
    assert isinstance(wrong, Declined)
    assert wrong.reason is Reason.OTP_WRONG
    assert await refused(shred_person(resources, gone.id, WHY)) is Reason.FOUR_EYES
    await agree(clerks, gone.id)
    assert await refused(shred_person(resources, gone.id, "another reason")) is Reason.CONFLICT
    clock.advance(timedelta(hours=24))
    assert await refused(shred_person(resources, gone.id, WHY)) is Reason.FOUR_EYES
    await ordered(clerks, clock, gone.id)
    await shred_person(resources, gone.id, WHY)
    assert await refused(shred_person(resources, gone.id, WHY)) is Reason.FOUR_EYES


async def test_another_banks_clerk_orders_nothing(
    resources: Resources, gone: WorldHolder, clerks: Desk
) -> None:
    stranger = await world.holder(resources.works, bank=BankId("WING"), vault=resources.vault)
    with pytest.raises(Refused) as caught:
        await ask(clerks, stranger.id)
    assert caught.value.reason is Reason.NOT_FOUND


async def test_a_person_erased_is_shown_as_erased_and_nothing_breaks(
    resources: Resources,
    gone: WorldHolder,
    database: Database,
    clerks: Desk,
    clock: TurnedClock,
) -> None:
    works, vault = resources.works, resources.vault
    stays = await world.holder(works, khr=70_000, vault=vault, phone="+85598765432")
    await ordered(clerks, clock, gone.id)
    await shred_person(resources, gone.id, WHY)

    async def query(work: Work) -> None:
        person = await holders.by_id(work, gone.id)
        assert person is not None
        assert (person.name_latin, person.name_khmer) == (ERASED_LATIN, ERASED_KHMER)
        assert await holders.phone(work, vault, gone.id) is None
        assert await holders.by_phone(work, vault, PHONE) == []
        assert await applications.of_agency(work, gone.agency) == []
        [row] = await work.rows("select totp_sealed from otp_standing")
        with pytest.raises(Refused) as caught:
            await vault.unseal(work, row["totp_sealed"], "otp_standing", "totp_sealed", gone.id)
        assert caught.value.reason is Reason.ERASED
        assert await inbox.newest(work, gone.id, "en") == []
        kept = await holders.by_id(work, stays.id)
        assert kept is not None
        assert kept.name_latin == stays.name_latin

    await works.read(SYSTEM, gone.bank, query)
    assert await wrong(works) == []
    [note] = await rows_of_all_banks(
        database, "select reason from audit where act = 'person.erase'"
    )
    assert note["reason"] == WHY
    held = await export_of(works, gone.id, "ACLEDA")
    assert held[0].sections["identity"][0]["name_latin"] is None
    await ordered(clerks, clock, gone.id)
    await shred_person(resources, gone.id, WHY)  # done again, it changes nothing
    assert await wrong(works) == []


async def test_no_table_of_the_database_tells_who_they_were(
    resources: Resources,
    gone: WorldHolder,
    database: Database,
    clerks: Desk,
    clock: TurnedClock,
) -> None:
    """TigerBeetle's #3833 (P7): asked for there."""
    secrets = (gone.name_latin, gone.name_khmer, PHONE, PHONE.removeprefix("+855"))
    assert await _found(database, secrets), "the search would find nothing anyway"
    await ordered(clerks, clock, gone.id)
    await shred_person(resources, gone.id, WHY)
    assert await _found(database, secrets) == []


async def wrong(works: Works) -> list[str]:
    """What `smartid prove` would find."""
    return [finding.check for finding in await prove(works, all_checks()) if not finding.right]


async def _found(database: Database, texts: tuple[str, ...]) -> list[str]:
    """The tables in whose rows, written out whole, one of these texts stands."""
    tables = await database.rows(
        "select relname as name from pg_class where relnamespace = 'public'::regnamespace"
        " and relkind = 'r' and relname <> 'alembic_version'"
    )
    found = []
    for table in tables:
        name = table["name"]
        rows = await rows_of_all_banks(database, f"select t::text as row from {name} t")
        if any(text in row["row"] for row in rows for text in texts):
            found.append(name)
    return found


@pytest.mark.parametrize("status", [HolderStatus.ACTIVE, HolderStatus.APPLICANT])
async def test_who_has_not_gone_is_not_erased(resources: Resources, status: HolderStatus) -> None:
    works = resources.works
    holder = await world.holder(works, vault=resources.vault, phone=PHONE)
    if status is HolderStatus.APPLICANT:
        await works.perform(
            SYSTEM,
            holder.bank,
            lambda work: work.execute("update holders set status = 'APPLICANT'"),
        )
    with pytest.raises(Refused) as caught:
        await shred_person(resources, holder.id, WHY)
    assert caught.value.reason is Reason.ILLEGAL_TRANSITION
    number = await works.read(
        SYSTEM, holder.bank, lambda work: holders.phone(work, resources.vault, holder.id)
    )
    assert number is not None
    assert number.reveal() == PHONE


async def test_refused_without_a_reason_with_money_left_or_for_nobody(
    resources: Resources, gone: WorldHolder
) -> None:
    async def refused(holder_id: object, reason: str) -> Reason:
        with pytest.raises(Refused) as caught:
            await shred_person(resources, holder_id, reason)  # type: ignore[arg-type]
        return caught.value.reason

    assert await refused(gone.id, "  ") is Reason.INVALID_REQUEST
    assert await refused(new_id(), WHY) is Reason.NOT_FOUND
    rich = await world.holder(resources.works, khr=1)
    await resources.works.perform(
        SYSTEM,
        rich.bank,
        lambda work: holders.advance(work, [rich.id], HolderStatus.DECEASED),
    )
    assert await refused(rich.id, WHY) is Reason.CONFLICT


async def test_c5_a_dump_made_before_and_restored_after_does_not_tell_either(
    resources: Resources,
    gone: WorldHolder,
    database_url: str,
    servers: Embedded,
    tmp_path: Path,
    clerks: Desk,
    clock: TurnedClock,
) -> None:
    """The long-kept dump holds no keys and no names; theirs, kept briefly, is of after."""
    stays = await world.holder(
        resources.works, khr=9_000, vault=resources.vault, phone="+85598765432"
    )
    long_kept = _dump(database_url, *[f"--exclude-table-data={t}" for t in KEYS_APART])
    assert gone.name_latin not in long_kept
    await ordered(clerks, clock, gone.id)
    await shred_person(resources, gone.id, WHY)
    briefly_kept = _dump(database_url, "--data-only", *[f"--table={t}" for t in KEYS_APART])
    name = f"restored_{new_id().hex}"
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f'create database "{name}"')
    await admin.close()
    for text in (long_kept, briefly_kept):
        _restore(url_of(servers, name), text)
    restored = await Database.connect(url_of(servers, name))
    try:
        works = Works(restored, clock)
        vault = Vault(SoftwareKeyStore.from_file(tmp_path / "master.key"))

        async def query(work: Work) -> None:
            [row] = await work.rows("select phone_sealed from holders where id = $1", gone.id)
            assert row["phone_sealed"] is not None, "the dump is of before"
            with pytest.raises(KeyGoneError):
                await vault.unseal(work, row["phone_sealed"], "holders", "phone_sealed", gone.id)
            person = await holders.by_id(work, gone.id)
            assert person is not None
            assert person.name_latin == ERASED_LATIN
            assert await holders.phone(work, vault, gone.id) is None
            kept = await holders.phone(work, vault, stays.id)
            assert kept is not None
            assert kept.reveal() == "+85598765432"

        await works.read(SYSTEM, gone.bank, query)
        assert await wrong(works) == []
    finally:
        await restored.close()


def _binary(name: str) -> Path:
    """Of the server's own version: an older pg_dump refuses a newer server."""
    return _binaries(Path("/nonexistent")) / name


def _dump(url: str, *options: str) -> str:
    made = subprocess.run(
        [_binary("pg_dump"), "--dbname", url, *options],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PGCLIENTENCODING": "UTF8"},
    )
    # Written by newer clients, refused by older ones.
    return re.sub(r"^\\(un)?restrict .*$", "", made.stdout, flags=re.MULTILINE)


def _restore(url: str, text: str) -> None:
    subprocess.run(
        [_binary("psql"), "--dbname", url, "--quiet", "--set", "ON_ERROR_STOP=1"],
        input=text,
        check=True,
        capture_output=True,
        text=True,
    )

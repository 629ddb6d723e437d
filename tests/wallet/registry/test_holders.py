"""People: once each, sealed where it matters, and their standing by the table."""

import itertools

import pytest

from runtime import cambodia
from tests import world
from wallet.identifiers import BankId, HolderId, new_id
from wallet.money import Currency
from wallet.outcomes import Reason, Refused
from wallet.registry import banks, enrolment, holders
from wallet.registry.enrolment import Newcomer
from wallet.registry.holders import MAY_BECOME, HolderStatus, decide_status
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")


async def test_found_by_staff_number_with_names_kept_normalised(works: Works) -> None:
    await world.establish(works)
    person = holders.Holder(
        id=HolderId(new_id()),
        bank=ACLEDA,
        agency=cambodia.AGENCIES[0].id,
        staff_no="0000000042",
        name_latin="  SOK   DARA ",
        name_khmer="សុខ\u200b តារា",
        language="km",
        status=HolderStatus.ACTIVE,
    )
    await works.perform(SYSTEM, ACLEDA, lambda w: holders.bring_in(w, [person]))

    found = await works.read(SYSTEM, ACLEDA, lambda w: holders.by_staff_no(w, "0000000042"))
    stranger = await works.read(
        SYSTEM, BankId("WING"), lambda w: holders.by_staff_no(w, "0000000042")
    )

    assert found is not None
    assert (found.name_latin, found.name_khmer) == ("SOK DARA", "សុខ តារា")
    assert stranger is None


async def test_two_people_may_share_a_telephone_and_both_are_found(
    works: Works, vault: Vault
) -> None:
    """Story A1.4."""
    one = await world.holder(works, vault=vault, phone="+85512345678")
    two = await world.holder(works, vault=vault, phone="+85512345678")

    found = await works.read(SYSTEM, ACLEDA, lambda w: holders.by_phone(w, vault, "+85512345678"))
    raw = await works.read(
        SYSTEM, ACLEDA, lambda w: w.value("select string_agg(t::text, '') from holders t")
    )

    assert {person.id for person in found} == {one.id, two.id}
    assert "12345678" not in raw


@pytest.mark.parametrize("number", ["012345678", "+0123456789", "+855 12 345 678", "", "+85512x"])
async def test_a_telephone_number_in_another_form_is_refused(
    works: Works, vault: Vault, number: str
) -> None:
    made = await world.holder(works)

    with pytest.raises(Refused) as caught:
        await works.perform(
            SYSTEM, ACLEDA, lambda w: holders.set_phones(w, vault, {made.id: number})
        )
    assert caught.value.reason is Reason.PHONE_INVALID


async def test_another_bank_cannot_change_a_telephone(works: Works, vault: Vault) -> None:
    made = await world.holder(works)

    with pytest.raises(Refused) as caught:
        await works.perform(
            SYSTEM,
            BankId("WING"),
            lambda w: holders.set_phones(w, vault, {made.id: "+85512345678"}),
        )
    assert caught.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize(("now", "to"), list(itertools.product(HolderStatus, HolderStatus)))
def test_standing_changes_by_the_table_only(now: HolderStatus, to: HolderStatus) -> None:
    if to is now or to in MAY_BECOME[now]:
        decide_status(now, to)
    else:
        with pytest.raises(Refused) as caught:
            decide_status(now, to)
        assert caught.value.reason is Reason.ILLEGAL_TRANSITION


async def test_a_mistaken_report_of_death_is_undone(works: Works) -> None:
    """Story D4.4."""
    made = await world.holder(works)
    for status in (HolderStatus.DECEASED, HolderStatus.ACTIVE):
        await works.perform(
            SYSTEM, ACLEDA, lambda w, status=status: holders.advance(w, [made.id], status)
        )

    person = await works.read(SYSTEM, ACLEDA, lambda w: holders.by_id(w, made.id))
    acts = await works.read(
        SYSTEM,
        None,
        lambda w: w.rows("select act from audit where holder_id = $1 order by seq", made.id),
    )

    assert person is not None
    assert person.status is HolderStatus.ACTIVE
    assert [row["act"] for row in acts] == ["holder.deceased", "holder.active"]


def test_an_unknown_bank_is_not_found() -> None:
    assert banks.named("WING").iin == "911603"
    with pytest.raises(Refused):
        banks.named("ABA")


async def test_enrolling_twice_changes_nothing(works: Works, vault: Vault) -> None:
    await world.establish(works)
    people = [world.newcomer(ACLEDA) for _ in range(5)]

    async def enrol(work: Work) -> None:
        await enrolment.bulk_enrol(work, vault, people)

    async def rows(work: Work) -> list[str]:
        tables = ("holders", "smart_ids", "accounts")
        found = [await work.rows(f"select t::text from {t} t order by 1") for t in tables]
        return [row[0] for some in found for row in some]

    await works.perform(SYSTEM, ACLEDA, enrol)
    before = await works.read(SYSTEM, None, rows)
    await works.perform(SYSTEM, ACLEDA, enrol)

    assert await works.read(SYSTEM, None, rows) == before
    assert len(before) == 5 * 4


async def test_people_of_another_bank_and_too_many_at_once_are_refused(
    works: Works, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.establish(works)
    monkeypatch.setattr(enrolment, "AT_ONCE", 3)

    for people in (
        [world.newcomer(BankId("WING"))],
        [world.newcomer(ACLEDA) for _ in range(4)],
    ):
        with pytest.raises(Refused) as caught:
            await works.perform(
                SYSTEM,
                ACLEDA,
                lambda w, people=people: enrolment.bulk_enrol(w, vault, people),
            )
        assert caught.value.reason is Reason.INVALID_REQUEST


async def test_numbers_never_meet() -> None:
    numbers = {
        enrolment.wallet_number(bank.id, currency, serial)
        for bank in banks.PROGRAMME
        for currency in Currency
        for serial in (1, 2, 9_999_999)
    }

    assert len(numbers) == 18
    with pytest.raises(Refused):
        enrolment.wallet_number(ACLEDA, Currency.KHR, 10_000_000)


@pytest.mark.long
async def test_twenty_thousand_people_are_enrolled_in_seconds(
    works: Works, vault: Vault, clock
) -> None:
    await world.establish(works)
    people: list[Newcomer] = [world.newcomer(ACLEDA) for _ in range(enrolment.AT_ONCE)]

    await works.perform(SYSTEM, ACLEDA, lambda w: enrolment.bulk_enrol(w, vault, people))

    count = await works.read(SYSTEM, ACLEDA, lambda w: w.value("select count(*) from accounts"))
    assert count == 2 * enrolment.AT_ONCE

"""Applications: the whole way, counts that add up, and each house its own people."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from tests import world
from wallet.clock import TurnedClock
from wallet.identifiers import AgencyId, BankId, HolderId, SmartIdId, new_id
from wallet.outcomes import Reason, Refused
from wallet.registry import applications, enrolment, holders, smart_ids
from wallet.registry.applications import Application, ApplicationState
from wallet.registry.holders import Holder, HolderStatus
from wallet.registry.smart_ids import IdentityState, PaymentState, SmartId
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")
A = ApplicationState


async def _applied(
    works: Works, count: int = 1, *, bank: str = "ACLEDA", agency: str = "MCS", first: int = 1
) -> list[UUID]:
    """People who have just applied; answers their applications."""
    await world.establish(works)
    made: list[UUID] = []

    async def act(work: Work) -> None:
        for number in range(first, first + count):
            holder_id, smart_id_id = HolderId(new_id()), SmartIdId(new_id())
            person = Holder(
                id=holder_id,
                bank=BankId(bank),
                agency=AgencyId(agency),
                staff_no=f"{number:010d}",
                name_latin="SOK DARA",
                name_khmer="សុខ តារា",
                language="km",
                status=HolderStatus.APPLICANT,
            )
            await holders.bring_in(work, [person])
            card = SmartId(
                id=smart_id_id,
                bank=person.bank,
                holder_id=holder_id,
                identity_state=IdentityState.APPLIED,
                payment_state=PaymentState.INACTIVE,
            )
            await smart_ids.bring_in(work, [card], {})
            application = Application(
                id=new_id(),
                bank=person.bank,
                agency=person.agency,
                holder_id=holder_id,
                smart_id_id=smart_id_id,
                staff_no=person.staff_no,
                state=A.APPLIED,
                applied_at=work.now,
            )
            await applications.bring_in(work, [application])
            made.append(application.id)

    await works.perform(SYSTEM, BankId(bank), act)
    return made


async def _advance(works: Works, ids: list[UUID], *states: ApplicationState) -> None:
    for state in states:
        await works.perform(
            SYSTEM, ACLEDA, lambda w, state=state: applications.advance(w, ids, state)
        )


async def _print(works: Works, vault: Vault, numbers: dict[UUID, str]) -> None:
    await works.perform(
        SYSTEM, ACLEDA, lambda w: applications.print_cards(w, vault, ACLEDA, numbers)
    )


async def _card_of(works: Works, application_id: UUID) -> SmartId:
    async def read(work: Work) -> SmartId | None:
        smart_id_id = await work.value(
            "select smart_id_id from applications where id = $1", application_id
        )
        return await smart_ids.by_id(work, smart_id_id)

    card = await works.read(SYSTEM, ACLEDA, read)
    assert card is not None
    return card


async def test_the_whole_way_from_the_list_to_the_hand(works: Works, vault: Vault) -> None:
    ids = await _applied(works, 2)
    numbers = {i: enrolment.smart_id_number(ACLEDA, n) for n, i in enumerate(ids, 1)}

    await _advance(works, ids, A.CHECKED, A.SENT_TO_BANK)
    await _print(works, vault, numbers)
    await _advance(works, ids, A.WITH_AGENCY, A.HANDED_OVER)

    card = await _card_of(works, ids[0])
    assert card.identity_state is IdentityState.HANDED_OVER
    assert card.payment_state is PaymentState.INACTIVE
    assert card.last_four == numbers[ids[0]][-4:]
    assert card.issued_on is not None
    assert card.expires_on == smart_ids.expiry_of(card.issued_on)
    await works.perform(
        SYSTEM, ACLEDA, lambda w: smart_ids.advance(w, [card.id], IdentityState.VALID)
    )
    assert (await _card_of(works, ids[0])).payment_state is PaymentState.ACTIVE


async def test_a_step_left_out_is_refused_for_the_whole_group(works: Works) -> None:
    ids = await _applied(works, 2)
    await _advance(works, ids[:1], A.CHECKED)

    with pytest.raises(Refused) as caught:
        await _advance(works, ids, A.SENT_TO_BANK)

    assert caught.value.reason is Reason.ILLEGAL_TRANSITION
    assert (await _card_of(works, ids[0])).identity_state is IdentityState.CHECKED
    with pytest.raises(Refused):
        await _advance(works, [new_id()], A.CHECKED)
    with pytest.raises(Refused):
        await _advance(works, ids, A.PRINTED)


async def test_a_wrong_name_on_the_card_goes_back_and_the_old_number_is_gone(
    works: Works, vault: Vault, clock: TurnedClock
) -> None:
    """Story D2.1."""
    (one,) = await _applied(works)
    await _advance(works, [one], A.CHECKED, A.SENT_TO_BANK)
    await _print(works, vault, {one: enrolment.smart_id_number(ACLEDA, 1)})
    await _advance(works, [one], A.WITH_AGENCY, A.SENT_TO_BANK)

    assert (await _card_of(works, one)).last_four is None
    await _print(works, vault, {one: enrolment.smart_id_number(ACLEDA, 2)})

    gone = await works.read(
        SYSTEM,
        ACLEDA,
        lambda w: smart_ids.by_number(w, vault, enrolment.smart_id_number(ACLEDA, 1)),
    )
    assert gone is None


async def test_a_hand_over_can_be_undone_before_the_card_is_valid(
    works: Works, vault: Vault
) -> None:
    """Story D2.4."""
    (one,) = await _applied(works)
    await _advance(works, [one], A.CHECKED, A.SENT_TO_BANK)
    await _print(works, vault, {one: enrolment.smart_id_number(ACLEDA, 1)})
    await _advance(works, [one], A.WITH_AGENCY, A.HANDED_OVER, A.WITH_AGENCY, A.HANDED_OVER)
    card = await _card_of(works, one)
    await works.perform(
        SYSTEM, ACLEDA, lambda w: smart_ids.advance(w, [card.id], IdentityState.VALID)
    )

    with pytest.raises(Refused) as caught:
        await _advance(works, [one], A.WITH_AGENCY)
    assert caught.value.reason is Reason.ILLEGAL_TRANSITION


async def test_a_number_that_is_taken_is_refused(works: Works, vault: Vault) -> None:
    ids = await _applied(works, 2)
    await _advance(works, ids, A.CHECKED, A.SENT_TO_BANK)
    number = enrolment.smart_id_number(ACLEDA, 1)
    await _print(works, vault, {ids[0]: number})

    with pytest.raises(Refused) as caught:
        await _print(works, vault, {ids[1]: number})
    assert caught.value.reason is Reason.CONFLICT


async def test_a_rejected_application_says_why_and_its_card_is_revoked(works: Works) -> None:
    (one,) = await _applied(works)

    with pytest.raises(Refused):
        await works.perform(SYSTEM, ACLEDA, lambda w: applications.reject(w, [one], " "))
    await works.perform(
        SYSTEM, ACLEDA, lambda w: applications.reject(w, [one], "not in the staff register")
    )

    assert (await _card_of(works, one)).identity_state is IdentityState.REVOKED
    (line,) = await works.read(SYSTEM, None, lambda w: applications.of_agency(w, AgencyId("MCS")))
    assert (line.state, line.reject_reason) == (A.REJECTED, "not in the staff register")


async def test_one_person_in_two_agencies_is_refused(works: Works) -> None:
    """Story D1.5: the staff number names one person, whatever agency or bank lists it again."""
    await _applied(works, agency="MCS")

    for bank in ("ACLEDA", "WING"):
        with pytest.raises(Refused) as caught:
            await _applied(works, agency="MOH", bank=bank)
        assert caught.value.reason is Reason.CONFLICT


async def test_counts_add_up_and_each_house_counts_its_own(works: Works) -> None:
    mcs = await _applied(works, 3)
    await _applied(works, 2, agency="MOH", first=10)
    await _applied(works, 4, bank="WING", first=20)
    await _advance(works, mcs[:1], A.CHECKED)

    def count(**house: Any) -> Any:
        return lambda w: applications.funnel(w, **house)

    async def totals(seen_by: BankId | None, **house: str) -> Counter[str]:
        rows = await works.read(SYSTEM, seen_by, count(**house))
        return Counter({row.state.value: 0 for row in rows}) + sum(
            (Counter({row.state.value: row.people}) for row in rows), Counter()
        )

    assert await totals(None) == {"APPLIED": 8, "CHECKED": 1}
    assert await totals(None, agency="MCS") == {"APPLIED": 6, "CHECKED": 1}
    assert await totals(None, agency="MOH") == {"APPLIED": 2}
    assert await totals(BankId("WING")) == {"APPLIED": 4}
    assert await totals(ACLEDA) == {"APPLIED": 4, "CHECKED": 1}
    assert await totals(BankId("CANADIA")) == {}
    assert await totals(BankId("WING"), bank="ACLEDA") == {}


async def test_the_list_is_paged_without_gap_or_repeat(works: Works) -> None:
    made = await _applied(works, 7)
    await _applied(works, 2, agency="MOH", first=10)
    seen: list[UUID] = []
    after: UUID | None = None

    while True:
        page = await works.read(
            SYSTEM,
            None,
            lambda w, after=after: applications.of_agency(w, AgencyId("MCS"), after=after, limit=3),
        )
        if not page:
            break
        seen += [line.id for line in page]
        after = page[-1].id

    assert seen == sorted(made)


async def test_the_list_shows_no_telephone_number_or_card_number() -> None:
    assert set(applications.Listed.__struct_fields__) == {
        "id",
        "bank",
        "agency",
        "staff_no",
        "name_latin",
        "name_khmer",
        "state",
        "applied_at",
        "since",
        "reject_reason",
    }


async def test_the_wall_between_banks_stands_in_the_database_itself(works: Works) -> None:
    """Raw SQL of one bank's Work: another's applications are neither read, changed nor made."""
    theirs = await _applied(works, 2, bank="ACLEDA")
    await _applied(works, 1, bank="WING", first=10)
    wing = BankId("WING")

    async def banks_seen(work: Work) -> set[str]:
        return {row["bank"] for row in await work.rows("select bank from applications")}

    assert await works.read(SYSTEM, wing, banks_seen) == {"WING"}
    changed = await works.perform(
        SYSTEM,
        wing,
        lambda w: w.execute("update applications set staff_no = '0' where id = $1", theirs[0]),
    )
    assert changed == "UPDATE 0"
    with pytest.raises(Exception, match="row-level security"):
        await works.perform(
            SYSTEM, wing, lambda w: w.execute("update applications set bank = 'ACLEDA'")
        )

"""Smart IDs in the tables: freezing, printing, finding, and who may see them."""

from datetime import datetime, time, timedelta
from typing import Any

import pytest

from tests import world
from wallet.clock import PHNOM_PENH, TurnedClock
from wallet.identifiers import BankId, SmartIdId, new_id
from wallet.ledger.statement import balances
from wallet.money import Money
from wallet.outcomes import Done, Reason, Refused
from wallet.registry import enrolment, smart_ids
from wallet.registry.smart_ids import IdentityState, Party, PaymentState
from wallet.vault import Vault
from wallet.work import SYSTEM, Actor, ActorKind, Work, Works

ACLEDA = BankId("ACLEDA")


async def _events(works: Works) -> list[tuple[str, dict[str, Any]]]:
    async def read(work: Work) -> list[tuple[str, dict[str, Any]]]:
        return [(r["kind"], r["body"]) for r in await work.rows("select kind, body from events")]

    return await works.read(SYSTEM, None, read)


async def test_freezing_stops_paying_keeps_the_identity_and_salary_still_lands(
    works: Works,
) -> None:
    made = await world.holder(works)

    (answer,) = await works.perform(
        SYSTEM,
        ACLEDA,
        lambda w: smart_ids.freeze_payment(w, [made.smart_id_id], by=Party.HOLDER),
    )
    await world.fund(works, "ACLEDA", made.khr, Money.khr(1_309_477))

    assert isinstance(answer, Done)
    assert answer.answer["payment_state"] == "FROZEN"
    assert answer.answer["identity_state"] == "VALID"
    money = await works.read(SYSTEM, ACLEDA, lambda w: balances(w, [made.khr]))
    assert money[made.khr].posted == Money.khr(1_309_477)
    assert [(kind, body["state"]) for kind, body in await _events(works)] == [
        ("smart_id.payment_changed", "FROZEN")
    ]


async def test_a_group_answers_each_member_and_repeats_change_nothing(works: Works) -> None:
    one, two = await world.people(works, 2)
    unknown = SmartIdId(new_id())

    async def freeze(work: Work):
        asked = [two.smart_id_id, unknown, one.smart_id_id, two.smart_id_id]
        return await smart_ids.freeze_payment(work, asked, by=Party.HOLDER)

    first = await works.perform(SYSTEM, ACLEDA, freeze)
    again = await works.perform(SYSTEM, ACLEDA, freeze)

    for answers in (first, again):
        assert [isinstance(answer, Done) for answer in answers] == [True, False, True, True]
        assert isinstance(answers[1], Refused)
        assert answers[1].reason is Reason.NOT_FOUND
    assert len(await _events(works)) == 2


async def test_the_act_is_written_down_with_who_and_why(works: Works) -> None:
    made = await world.holder(works)
    clerk = Actor(kind=ActorKind.BANK_CLERK, id="clerk-7", bank=ACLEDA)

    await works.perform(
        SYSTEM,
        ACLEDA,
        lambda w: smart_ids.freeze_payment(
            w, [made.smart_id_id], by=Party.BANK, actors=[clerk], reason="reported lost"
        ),
    )

    row = await works.read(
        SYSTEM,
        None,
        lambda w: w.row("select * from audit where act = 'smart_id.freeze'"),
    )
    assert row is not None
    assert (row["actor_id"], row["subject"]) == ("clerk-7", str(made.smart_id_id))
    assert (row["holder_id"], row["reason"]) == (made.id, "reported lost")


async def test_the_holder_cannot_lift_the_banks_freeze(works: Works) -> None:
    made = await world.holder(works)
    ids = [made.smart_id_id]
    await works.perform(SYSTEM, ACLEDA, lambda w: smart_ids.freeze_payment(w, ids, by=Party.BANK))

    (refused,) = await works.perform(
        SYSTEM, ACLEDA, lambda w: smart_ids.unfreeze_payment(w, ids, by=Party.HOLDER)
    )
    (done,) = await works.perform(
        SYSTEM, ACLEDA, lambda w: smart_ids.unfreeze_payment(w, ids, by=Party.BANK)
    )

    assert isinstance(refused, Refused)
    assert refused.reason is Reason.FORBIDDEN
    assert isinstance(done, Done)
    assert done.answer["payment_state"] == "ACTIVE"


async def test_blocked_is_for_good_and_revoking_leaves_the_money(works: Works) -> None:
    made = await world.holder(works, khr=50_000)
    ids = [made.smart_id_id]
    await works.perform(SYSTEM, ACLEDA, lambda w: smart_ids.block(w, ids, by=Party.BANK))

    (refused,) = await works.perform(
        SYSTEM, ACLEDA, lambda w: smart_ids.unfreeze_payment(w, ids, by=Party.BANK)
    )
    await works.perform(SYSTEM, ACLEDA, lambda w: smart_ids.advance(w, ids, IdentityState.REVOKED))

    assert isinstance(refused, Refused)
    money = await works.read(SYSTEM, ACLEDA, lambda w: balances(w, [made.khr]))
    assert money[made.khr].available == Money.khr(50_000)


async def test_a_number_is_found_by_its_hash_and_stands_nowhere_in_clear(
    works: Works, vault: Vault
) -> None:
    made = await world.holder(works, vault=vault)
    digits = made.smart_id_number

    found = await works.read(SYSTEM, ACLEDA, lambda w: smart_ids.by_number(w, vault, digits))
    row = await works.read(
        SYSTEM, ACLEDA, lambda w: w.value("select string_agg(t::text, '') from smart_ids t")
    )

    assert found is not None
    assert found.id == made.smart_id_id
    assert found.last_four == digits[-4:]
    assert digits not in row
    assert digits.encode().hex() not in row


async def test_another_bank_finds_neither_number_nor_id_nor_can_it_freeze(
    works: Works, vault: Vault
) -> None:
    made = await world.holder(works, vault=vault)
    canadia = BankId("CANADIA")

    found = await works.read(
        SYSTEM, canadia, lambda w: smart_ids.by_number(w, vault, made.smart_id_number)
    )
    (answer,) = await works.perform(
        SYSTEM,
        canadia,
        lambda w: smart_ids.freeze_payment(w, [made.smart_id_id], by=Party.BANK),
    )

    assert found is None
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.NOT_FOUND
    card = await works.read(SYSTEM, ACLEDA, lambda w: smart_ids.by_id(w, made.smart_id_id))
    assert card is not None
    assert card.payment_state is PaymentState.ACTIVE


@pytest.mark.parametrize("table", ["holders", "smart_ids", "accounts"])
async def test_a_bank_sees_none_of_another_banks_people_in_raw_sql(
    works: Works, table: str
) -> None:
    await world.people(works, 3, bank="ACLEDA")
    await world.people(works, 2, bank="WING")

    async def banks_seen(work: Work) -> set[str]:
        return {row["bank"] for row in await work.rows(f"select bank from {table}")}

    assert await works.read(SYSTEM, ACLEDA, banks_seen) == {"ACLEDA"}
    assert await works.read(SYSTEM, BankId("WING"), banks_seen) == {"WING"}
    assert await works.read(SYSTEM, BankId("CANADIA"), banks_seen) == set()
    assert await works.read(SYSTEM, None, banks_seen) == {"ACLEDA", "WING"}


async def test_a_number_outside_the_banks_range_or_with_a_wrong_digit_is_refused(
    works: Works, vault: Vault, clock: TurnedClock
) -> None:
    right = enrolment.smart_id_number(ACLEDA, 7)
    wrong_digit = right[:-1] + str((int(right[-1]) + 1) % 10)
    for number in (wrong_digit, enrolment.smart_id_number(BankId("WING"), 7), right[:-1], ""):
        with pytest.raises(Refused) as caught:
            await works.perform(
                SYSTEM,
                ACLEDA,
                lambda w, number=number: smart_ids.seal_numbers(
                    w, vault, ACLEDA, clock.now().date(), {SmartIdId(new_id()): number}
                ),
            )
        assert caught.value.reason is Reason.INVALID_REQUEST


async def test_the_table_itself_refuses_what_the_rules_refuse(works: Works) -> None:
    """A frozen card without who froze it, an active one that is not valid: constraints."""
    made = await world.holder(works)
    for change in (
        "payment_state = 'FROZEN'",
        "identity_state = 'REVOKED'",
        "expires_on = issued_on + 1",
        "number_sealed = null",
        "cards_kept = true",
        "payment_state = 'FROZEN', frozen_by = 'BANK', cards_kept = true",
    ):
        with pytest.raises(Exception, match="violates check constraint"):
            await works.perform(
                SYSTEM,
                ACLEDA,
                lambda w, change=change: w.execute(
                    f"update smart_ids set {change} where id = $1", made.smart_id_id
                ),
            )


async def test_a_year_is_long_but_the_card_lasts_ten(works: Works, clock: TurnedClock) -> None:
    made = await world.holder(works)
    clock.advance(timedelta(days=365))

    card = await works.read(SYSTEM, ACLEDA, lambda w: smart_ids.of_holder(w, made.id))

    assert card is not None
    assert card.expires_on == smart_ids.expiry_of(world.ISSUED_ON)


async def test_it_is_over_the_day_after_its_last_whether_or_not_a_job_was_there(
    works: Works, clock: TurnedClock, vault: Vault
) -> None:
    made = await world.holder(works, vault=vault)

    async def look(work: Work) -> smart_ids.SmartId:
        found = await smart_ids.of_holder(work, made.id)
        assert found is not None
        by_id = await smart_ids.by_id(work, found.id)
        assert by_id == found
        return found

    async def sweep() -> int:
        return await works.perform(SYSTEM, ACLEDA, lambda w: smart_ids.expire_due(w, 10))

    last = (await works.read(SYSTEM, ACLEDA, look)).expires_on
    assert last is not None
    midnight = datetime.combine(last + timedelta(days=1), time(), PHNOM_PENH)
    clock.advance(midnight - clock.now() - timedelta(seconds=1))
    assert (await works.read(SYSTEM, ACLEDA, look)).identity_state is IdentityState.VALID
    assert await sweep() == 0
    clock.advance(timedelta(seconds=1))
    over = await works.read(SYSTEM, ACLEDA, look)
    assert (over.identity_state, over.payment_state) == (
        IdentityState.EXPIRED,
        PaymentState.BLOCKED,
    )
    with pytest.raises(Refused, match="smart_id_not_active"):
        await works.read(
            SYSTEM,
            ACLEDA,
            lambda w: smart_ids.valid_by_number(w, vault, made.smart_id_number),
        )
    assert await _events(works) == []
    assert [await sweep(), await sweep()] == [1, 0]
    assert [(kind, body["state"]) for kind, body in await _events(works)] == [
        ("smart_id.payment_changed", "BLOCKED")
    ]
    assert await works.read(SYSTEM, ACLEDA, look) == over

"""A card asked for at an ATM becomes its holder's, or nobody's."""

import asyncio
from datetime import timedelta

import pytest

from tests.wallet.cards.counter import Counter, card_id_of
from wallet.cards import claims
from wallet.cards.states import CardState, Substatus
from wallet.clock import TurnedClock
from wallet.identifiers import CardId, new_id
from wallet.outcomes import Declined, Done, Reason, Refused
from wallet.vault import Vault
from wallet.work import SYSTEM, Work

TEN_MINUTES = timedelta(minutes=10)


class TestClaiming:
    async def test_only_the_smart_ids_owner_claims(self, counter: Counter) -> None:
        person, thief = await counter.person(), await counter.person()
        card_id = card_id_of(await counter.at_atm(counter.request(person)))
        with pytest.raises(Refused) as caught:
            await counter.claim(thief, card_id)
        assert caught.value.reason is Reason.NOT_FOUND
        slip = claims.slip_for(counter.vault, card_id, "")
        fields = {"reference": slip.reference, "number_match": slip.match}
        stolen = await counter.prepare("card.claim", person, **fields)
        with pytest.raises(Refused):
            await counter.authorise("card.claim", thief, stolen)
        assert await counter.state(card_id) == "ISSUED_PENDING_CLAIM"

    async def test_twice_is_once(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = card_id_of(await counter.at_atm(counter.request(person)))
        slip = claims.slip_for(counter.vault, card_id, "")
        fields = {"reference": slip.reference, "number_match": slip.match}
        signed = [await counter.prepare("card.claim", person, **fields) for _ in range(5)]
        outcomes = await asyncio.gather(
            *(counter.authorise("card.claim", person, one) for one in signed)
        )
        assert sum(isinstance(outcome, Done) for outcome in outcomes) == 1

    async def test_wrong_digits_count_and_end_the_card(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = card_id_of(await counter.at_atm(counter.request(person)))
        match = claims.slip_for(counter.vault, card_id, "").match
        wrong = f"{(int(match) + 1) % 100:02d}"
        left = []
        for _ in range(5):
            outcome = await counter.claim(person, card_id, number_match=wrong)
            assert isinstance(outcome, Declined)
            assert outcome.reason is Reason.CARD_CLAIM_MISMATCH
            left.append(outcome.facts["tries_left"])
        assert left == [4, 3, 2, 1, 0]
        card = await counter.look(card_id)
        assert (card.state, card.substatus) == (
            CardState.EXPIRED,
            Substatus.SUSPICIOUS_ACTIVITY,
        )
        with pytest.raises(Refused) as caught:
            await counter.claim(person, card_id)
        assert caught.value.reason is Reason.CARD_CLAIM_EXPIRED

    @pytest.mark.parametrize(
        ("later", "possible"),
        [(TEN_MINUTES - timedelta(microseconds=1), True), (TEN_MINUTES, False)],
    )
    async def test_a_claim_ends_at_its_exact_moment(
        self, counter: Counter, clock: TurnedClock, later: timedelta, possible: bool
    ) -> None:
        person = await counter.person()
        card_id = card_id_of(await counter.at_atm(counter.request(person)))
        slip = claims.slip_for(counter.vault, card_id, "")
        fields = {"reference": slip.reference, "number_match": slip.match}
        signed = await counter.prepare("card.claim", person, **fields)
        clock.advance(later)
        outcome = await counter.authorise("card.claim", person, signed)
        if possible:
            assert isinstance(outcome, Done)
        else:
            assert isinstance(outcome, Declined)
            assert outcome.reason is Reason.CARD_CLAIM_EXPIRED
            assert (await counter.look(card_id)).state is CardState.EXPIRED

    async def test_a_frozen_smart_id_claims_nothing(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = card_id_of(await counter.at_atm(counter.request(person)))
        await counter.freeze_smart_id(person)
        with pytest.raises(Refused) as caught:
            await counter.claim(person, card_id)
        assert caught.value.reason is Reason.SMART_ID_FROZEN

    async def test_the_fourth_cards_fee_is_taken_when_it_is_claimed(self, counter: Counter) -> None:
        person = await counter.person(khr=50_000)
        for _ in range(3):
            await counter.card(person)
        card_id = card_id_of(await counter.at_atm(counter.request(person)))
        slip = claims.slip_for(counter.vault, card_id, "")
        prepared = await counter.prepare(
            "card.claim", person, reference=slip.reference, number_match=slip.match
        )
        assert prepared.money is not None
        assert prepared.money.minor == 12_000
        assert "12,000 KHR" in prepared.text_en
        assert isinstance(await counter.authorise("card.claim", person, prepared), Done)

    async def test_nobody_claimed_it_lapses_by_a_durable_job(
        self, counter: Counter, clock: TurnedClock
    ) -> None:
        person = await counter.person()
        card_id = card_id_of(await counter.at_atm(counter.request(person)))

        async def jobs(work: Work) -> list[tuple[str, object]]:
            rows = await work.rows("select name, run_at from jobs where name = 'card.claim_expiry'")
            return [(row["name"], row["run_at"]) for row in rows]

        waiting = await counter.works.read(SYSTEM, None, jobs)
        assert waiting == [("card.claim_expiry", clock.now() + TEN_MINUTES)]
        assert await counter.lapse(card_id) is False
        clock.advance(TEN_MINUTES)
        assert await counter.state(card_id) == "EXPIRED"
        assert await counter.live(person) == []
        assert await counter.lapse(card_id) is True
        assert await counter.lapse(card_id) is True
        card = await counter.look(card_id)
        assert (card.state, card.substatus) == (CardState.EXPIRED, Substatus.UNDELIVERABLE)


class TestSlip:
    def test_is_the_same_on_every_repeat_and_of_no_other_card(self, vault: Vault) -> None:
        card_id, other = CardId(new_id()), CardId(new_id())
        slip = claims.slip_for(vault, card_id, "https://x/claim/")
        assert slip == claims.slip_for(vault, card_id, "https://x/claim/")
        assert slip.reference != claims.slip_for(vault, other, "https://x/claim/").reference
        assert len(slip.qr_text.rsplit("/", 1)[1]) == 26
        assert claims.belongs(vault, card_id, slip.qr_text)
        assert not claims.belongs(vault, other, slip.qr_text)

    def test_a_qr_with_one_letter_changed_is_no_longer_the_cards(self, vault: Vault) -> None:
        card_id = CardId(new_id())
        text = claims.slip_for(vault, card_id, "").qr_text
        changed = text[:-1] + ("0" if text[-1] != "0" else "1")
        assert claims.index_of(vault, changed) == claims.index_of(vault, text)
        assert not claims.belongs(vault, card_id, changed)

    def test_reads_as_people_misread_it(self, vault: Vault) -> None:
        assert claims.index_of(vault, "0110-ABCD") == claims.index_of(vault, " oilo abcd ")
        assert claims.index_of(vault, "UUUU-UUUU") is None
        assert claims.index_of(vault, "1234") is None

    def test_the_qr_is_an_image(self) -> None:
        assert claims.qr_png("https://x/claim/1").startswith(b"\x89PNG")
        assert "<svg" in claims.qr_svg("https://x/claim/1")

"""The factories other rooms build on."""

from tests import world
from wallet.identifiers import luhn_valid
from wallet.ledger.statement import balances
from wallet.money import Money
from wallet.registry import holders, smart_ids
from wallet.vault import Vault
from wallet.work import SYSTEM, Works


async def test_a_person_of_the_world_has_a_valid_card_and_money(works: Works) -> None:
    made = await world.holder(works, khr=50_000, usd=1_250)

    assert luhn_valid(made.smart_id_number)
    assert made.smart_id_number.startswith("91160100")
    assert luhn_valid(made.khr_number)
    assert len(made.khr_number) == 10
    card = await works.read(SYSTEM, made.bank, lambda work: smart_ids.of_holder(work, made.id))
    assert card is not None
    assert card.identity_state is smart_ids.IdentityState.VALID
    assert card.payment_state is smart_ids.PaymentState.ACTIVE
    money = await works.read(SYSTEM, made.bank, lambda work: balances(work, made.wallet_ids))
    assert money[made.khr].available == Money.khr(50_000)
    assert money[made.usd].available == Money.usd(1_250)


async def test_a_telephone_is_sealed_and_can_be_read_back(works: Works, vault: Vault) -> None:
    made = await world.holder(works, vault=vault, phone="+85512345678")

    number = await works.read(SYSTEM, made.bank, lambda w: holders.phone(w, vault, made.id))

    assert number is not None
    assert number.reveal() == "+85512345678"

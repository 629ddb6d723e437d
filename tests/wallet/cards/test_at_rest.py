"""What is found in the database after everything has happened to two cards."""

from tests.wallet.cards.counter import ATM, Counter, card_id_of
from wallet.cards import atm, claims
from wallet.identifiers import BankId
from wallet.outcomes import Outcome
from wallet.work import SYSTEM, Work, Works


async def test_number_and_check_value_are_nowhere_in_the_database(
    counter: Counter, works: Works
) -> None:
    person = await counter.person()
    in_app = await counter.card(person)
    request = counter.request(person)

    async def act(work: Work) -> Outcome:
        return await atm.create_at_atm(work, counter.issuing, request)

    outcome, _ = await works.perform_once(
        ATM, BankId("ACLEDA"), "atm.cards", "key-1", b"digest", act
    )
    from_atm = card_id_of(outcome)
    await counter.claim(person, from_atm)
    secrets = [person.holder.smart_id_number]
    for card_id in (in_app, from_atm):
        revealed = await counter.do("card.reveal", person, card_id=str(card_id))
        shown = counter.opened(person, revealed)
        secrets.append(shown["number"])
        await counter.freeze(person, card_id)
    await counter.reverse(request)
    text = await everything_stored(works)
    assert "ISSUED_PENDING_CLAIM" in text
    for secret in secrets:
        for form in (secret, secret.encode().hex(), secret[:6] + secret[6:12]):
            assert form not in text
    assert '"cvv"' not in text
    slip = claims.slip_for(counter.vault, from_atm, "")
    assert slip.qr_text not in text
    assert slip.reference not in text


async def everything_stored(works: Works) -> str:
    """Every row of every table as text."""

    async def query(work: Work) -> str:
        tables = await work.rows(
            "select relname from pg_class where relkind = 'r'"
            " and relnamespace = 'public'::regnamespace and has_table_privilege(oid, 'select')"
        )
        found = []
        for table in tables:
            rows = await work.rows(f'select t::text as line from "{table["relname"]}" t')
            found += [row["line"] for row in rows]
        return "\n".join(found)

    return await works.read(SYSTEM, None, query)

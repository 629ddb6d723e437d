"""The seed: the programme's first day, the same however often and however roughly it is run."""

import stat
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from api.resources import Resources
from runtime import cambodia, demo_staff, seed
from wallet.access import machines, staff, totp
from wallet.access.hashing import Hashing
from wallet.identifiers import AgencyId, BankId, Secret, luhn_valid
from wallet.ledger import chart
from wallet.registry import applications, enrolment, holders, smart_ids
from wallet.registry.applications import ApplicationState
from wallet.registry.smart_ids import IdentityState, PaymentState
from wallet.salary.file import SalaryReader
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

SEEDED_TABLES = (
    "banks",
    "agencies",
    "holders",
    "smart_ids",
    "applications",
    "accounts",
    "staff",
    "machine_keys",
    "atm_terminals",
    "vault_keys",
)


async def _everything(works: Works) -> dict[str, list[str]]:
    """Every seeded row as text, whatever the wall hides from a single bank."""

    async def read(work: Work) -> dict[str, list[str]]:
        return {
            table: [row[0] for row in await work.rows(f"select t::text from {table} t order by 1")]
            for table in SEEDED_TABLES
        }

    return await works.read(SYSTEM, None, read)


async def test_the_public_figures_of_the_first_day(resources: Resources, tmp_path: Path) -> None:
    seeded = await seed.run(resources, tmp_path)

    assert seeded.agencies == 17
    assert seeded.applicants == 1_859
    assert seeded.by_state["HANDED_OVER"] == 497
    assert seeded.agencies_with_cards == 11
    assert seeded.seconds < 15
    assert sum(seeded.by_state.values()) == 1_859
    assert set(seeded.by_state) == {"APPLIED", "CHECKED", "SENT_TO_BANK", "HANDED_OVER"}


async def test_cards_were_handed_over_at_ministries_only() -> None:
    with_cards = [share.agency for share in cambodia.SHARES if share.handed_over]

    assert {agency.kind.value for agency in with_cards} == {"ministry"}


async def test_run_twice_it_changes_nothing(
    resources: Resources, works: Works, tmp_path: Path
) -> None:
    await seed.run(resources, tmp_path)
    before = await _everything(works)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    again = await seed.run(resources, tmp_path)

    assert again.applicants == 1_859
    assert await _everything(works) == before
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


class PulledPlugError(Exception):
    pass


@pytest.mark.parametrize("after", [0, 2, 9, 48])
async def test_killed_half_way_and_run_again_it_ends_the_same(
    resources: Resources,
    works: Works,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    """The seed dies inside the Work after the `after`-th; whatever that Work did is lost."""
    perform = Works.perform
    begun = -1

    async def dies(self: Works, actor: Any, bank: Any, act: Any) -> Any:
        nonlocal begun
        begun += 1
        if begun == after:

            async def half(work: Work) -> None:
                await act(work)
                raise PulledPlugError

            await perform(self, actor, bank, half)
        return await perform(self, actor, bank, act)

    monkeypatch.setattr(Works, "perform", dies)
    with pytest.raises(PulledPlugError):
        await seed.run(resources, tmp_path)
    monkeypatch.undo()

    seeded = await seed.run(resources, tmp_path)

    assert (seeded.agencies, seeded.applicants, seeded.agencies_with_cards) == (17, 1_859, 11)
    assert seeded.by_state["HANDED_OVER"] == 497
    rows = await _everything(works)
    assert len(rows["staff"]) == len(demo_staff.logins(tmp_path)) == 45
    assert len(rows["holders"]) == len(rows["smart_ids"]) == len(rows["applications"]) == 1_859
    wallets = await works.read(
        SYSTEM,
        None,
        lambda w: w.value("select count(*) from accounts where kind = 'wallet'"),
    )
    assert wallets == 2 * 497


async def test_secrets_are_for_their_owner_only_and_never_the_same_twice(
    resources: Resources, tmp_path: Path
) -> None:
    await seed.run(resources, tmp_path / "one")

    for name in (demo_staff.LOGINS_FILE, demo_staff.ATM_KEYS_FILE):
        assert stat.S_IMODE((tmp_path / "one" / name).stat().st_mode) == 0o600
    one, two = demo_staff.logins(tmp_path / "one"), demo_staff.logins(tmp_path / "two")
    assert [login.login for login in one] == [login.login for login in two]
    assert not {login.passphrase for login in one} & {login.passphrase for login in two}
    assert not {login.totp_secret for login in one} & {login.totp_secret for login in two}
    assert len({login.passphrase for login in one}) == len(one)
    assert one[0].passphrase not in repr(one[0])


@pytest.mark.parametrize("name", [demo_staff.LOGINS_FILE, demo_staff.ATM_KEYS_FILE])
async def test_a_lost_secrets_file_is_named_and_not_replaced(
    resources: Resources, tmp_path: Path, name: str
) -> None:
    await seed.run(resources, tmp_path)
    (tmp_path / name).unlink()

    with pytest.raises(demo_staff.SecretsLostError, match=name):
        await seed.run(resources, tmp_path)

    assert not (tmp_path / name).exists()


async def test_staff_can_sign_in_and_hosts_are_known_by_their_keys(
    resources: Resources, works: Works, vault: Vault, tmp_path: Path
) -> None:
    await seed.run(resources, tmp_path)
    login = demo_staff.logins(tmp_path)[0]
    host = demo_staff.atm_keys(tmp_path)[0]

    tried = staff.SignInTry(
        kind=login.door,
        login=login.login,
        passphrase=Secret(login.passphrase),
        code=Secret(totp.code_at(login.totp_secret, works.clock.now())),
    )
    signed_in = await staff.sign_in(works, vault, Hashing(), resources.throttle, tried)
    known = await machines.key_named(works, vault, host.keyid, host.terminals[1].id)

    assert signed_in.member.agency == "MCS"
    assert known is not None
    assert known.machine.bank == host.bank
    assert known.terminal_listed


async def test_every_agency_has_two_officers_every_bank_two_clerks_and_support_three() -> None:
    everybody = demo_staff._new_logins()

    assert len([x for x in everybody if x.agency == "MCS"]) == 2
    assert {x.bank for x in everybody if x.bank} == {"ACLEDA", "CANADIA", "WING"}
    assert len([x for x in everybody if x.bank]) == 6
    assert len([x for x in everybody if x.login.startswith("support.")]) == 3
    assert len([x for x in everybody if x.door == "admin"]) == 2
    for one in everybody:
        approves = bool({"checker", "supervisor", "admin"} & set(one.roles))
        assert approves == (one.passkey is not None) == (one.passkey_ticket is not None)


def test_invented_people_are_distinct_and_written_in_normal_khmer() -> None:
    everybody = list(cambodia.everybody())

    assert len({person.staff_no for person in everybody}) == 1_859
    assert len({person.phone for person in everybody}) == 1_859
    for person in everybody:
        assert unicodedata.is_normalized("NFC", person.name_khmer)
        assert holders.normalise_name(person.name_khmer) == person.name_khmer
        assert all("\u1780" <= c <= "\u17d3" or c == " " for c in person.name_khmer)
        assert person.name_latin.replace(" ", "").isascii()
        assert len(person.staff_no) == 10


def test_numbers_pass_their_check_digit_and_stay_in_the_test_range() -> None:
    for person in cambodia.everybody():
        number = enrolment.smart_id_number(person.bank, person.place + 1)
        assert number.startswith("9116")
        assert luhn_valid(number)
        account = seed.payee(person).account_no
        assert len(account) == 10
        assert luhn_valid(account)


async def test_people_with_cards_can_be_paid_and_reached(
    resources: Resources, works: Works, vault: Vault, tmp_path: Path
) -> None:
    await seed.run(resources, tmp_path)
    person = seed.people_with_cards(BankId("WING"))[0]
    known_id = seed.holder_id(person.place)

    async def look(work: Work) -> None:
        known = await holders.by_staff_no(work, person.staff_no)
        assert known is not None
        assert known.id == known_id
        card = await smart_ids.of_holder(work, known_id)
        assert card is not None
        assert card.identity_state is IdentityState.VALID
        assert card.payment_state is PaymentState.ACTIVE
        assert card.expires_on is not None
        assert card.expires_on.isoformat() == "2032-12-28"
        number = enrolment.smart_id_number(person.bank, person.place + 1)
        assert await smart_ids.by_number(work, vault, number) == card
        wallets = await chart.wallets_of_holder(work, known_id)
        assert sorted(wallet.currency.value for wallet in wallets) == ["KHR", "USD"]
        phone = await holders.phone(work, vault, known_id)
        assert phone is not None
        assert phone.reveal() == person.phone

    await works.read(SYSTEM, BankId("WING"), look)


async def test_days_of_an_application_follow_each_other(
    resources: Resources, works: Works, tmp_path: Path
) -> None:
    await seed.run(resources, tmp_path)

    listed = await works.read(
        SYSTEM,
        None,
        lambda w: applications.of_agency(w, AgencyId("MCS"), limit=500),
    )

    assert len(listed) == 214
    assert all(line.applied_at <= line.since for line in listed)
    handed = [line for line in listed if line.state is ApplicationState.HANDED_OVER]
    assert len(handed) == 96
    assert all(line.since.date().isoformat() == "2022-12-28" for line in handed)


def test_the_salary_file_of_seeded_people_is_read_without_a_fault() -> None:
    reader = SalaryReader()
    file = seed.salary_file(AgencyId("MCS"), period="2026-01", half=1)

    lines = reader.feed(file) + reader.finish()

    totals = reader.totals()
    assert totals.faults == ()
    assert (totals.lines, totals.period, totals.half) == (96, "2026-01", 1)
    assert not [line for line in lines if line.code]
    assert all(1_172_500 <= line.amount_minor <= 1_447_499 for line in lines)
    assert sum(line.amount_minor % 100 == 0 for line in lines) < 10

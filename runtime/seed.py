"""The seed: a believable Cambodia, the same on every machine, as on the programme's first day.

Promise: three banks, 17 agencies, 1,859 applicants of whom 497 at 11 ministries hold a valid
Smart ID with a riel and a dollar wallet; staff who can sign in; ATM hosts that can sign. Run twice
it changes nothing; killed anywhere and run again it ends the same: each part is one Work of rows
with fixed ids, and secrets are in their file before anything in the database depends on them.
Owns no table. Who calls: cli (`smartid seed`), demo, benchmarks.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from api.resources import Resources
from runtime import cambodia, demo_staff
from runtime.cambodia import FIRST_DAY, Person
from simulators.agency import Payee, salary_csv
from wallet import terms
from wallet.clock import PHNOM_PENH
from wallet.exchange import RateSheet
from wallet.identifiers import AgencyId, BankId, HolderId, SmartIdId, derived_id
from wallet.ledger.chart import AccountKind, house_account
from wallet.money import Currency
from wallet.registry import agencies, applications, banks, enrolment, holders, smart_ids
from wallet.registry.applications import Application, ApplicationState
from wallet.registry.enrolment import Newcomer
from wallet.registry.holders import Holder, HolderStatus
from wallet.registry.smart_ids import IdentityState, PaymentState, SmartId
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

Say = Callable[[str], None]

HOUSE: Final = (
    AccountKind.TREASURY,
    AccountKind.MERCHANT_SETTLEMENT,
    AccountKind.SWITCH_SETTLEMENT,
    AccountKind.FEES,
    AccountKind.FX_POSITION,
    AccountKind.SUSPENSE,
    AccountKind.PROVISIONAL_CREDIT,
    AccountKind.DISPUTE_LOSS,
    AccountKind.INTERBANK,
)
"""What every bank's books begin with, in both currencies; the rest is opened at first need."""

_ROOT: Final = UUID("5a1dca4d-0000-7000-8000-000000000855")
"""What the fixed ids of seeded rows are derived from."""

_EARLIER: Final = (
    *[ApplicationState.APPLIED] * 4,
    *[ApplicationState.CHECKED] * 3,
    *[ApplicationState.SENT_TO_BANK] * 3,
)
"""Where those without a card stand, in turn: 497 were printed, so nobody is further than this."""


FIRST_RATE: Final = RateSheet(mid_hundredths=410_000, spread_bps=50)
"""About the market's 4,100 riel to the dollar; the spread is made up."""


class Seeded(Struct, frozen=True, kw_only=True):
    """What stands now, whether this run made it or an earlier one."""

    agencies: int
    applicants: int
    by_state: dict[str, int]
    agencies_with_cards: int
    logins_file: Path
    atm_keys_file: Path
    seconds: float


async def run(resources: Resources, data: Path, *, say: Say = lambda line: None) -> Seeded:
    """Bring the database and the two files in `data` to the programme's first day.

    Raises SecretsLostError when the database has staff whose secrets `data` does not have.
    """
    began = time.monotonic()
    works, vault = resources.works, resources.vault
    everybody = list(cambodia.everybody())
    await works.perform(SYSTEM, None, _programme)
    say(f"{len(banks.PROGRAMME)} banks, {len(cambodia.AGENCIES)} agencies")
    for bank in banks.PROGRAMME:
        theirs = [person for person in everybody if person.bank == bank.id]
        await works.perform(SYSTEM, bank.id, partial(_bank, vault=vault, everybody=theirs))
        cards = sum(person.has_card for person in theirs)
        say(f"{bank.name_en}: {len(theirs)} applicants, {cards} with a card")
    logins_file = await demo_staff.enrol_staff(works, vault, resources.hashing, data)
    say(f"staff logins: {logins_file}")
    atm_keys_file = await demo_staff.register_atm_hosts(works, vault, data)
    say(f"ATM host keys: {atm_keys_file}")
    seeded = await _counted(works, logins_file, atm_keys_file, time.monotonic() - began)
    states = ", ".join(f"{state} {people:,}" for state, people in seeded.by_state.items())
    say(
        f"{seeded.agencies} agencies, {seeded.applicants:,} applicants, "
        f"{seeded.by_state[ApplicationState.HANDED_OVER]:,} cards handed over at "
        f"{seeded.agencies_with_cards} ministries ({states}); {seeded.seconds:.1f} s"
    )
    return seeded


async def _counted(works: Works, logins: Path, atm_keys: Path, seconds: float) -> Seeded:
    funnel = await works.read(SYSTEM, None, applications.funnel)
    by_state: Counter[str] = Counter()
    for row in funnel:
        by_state[row.state.value] += row.people
    with_cards = {row.agency for row in funnel if row.state is ApplicationState.HANDED_OVER}
    return Seeded(
        agencies=len({row.agency for row in funnel}),
        applicants=by_state.total(),
        by_state={state.value: by_state[state] for state in ApplicationState if by_state[state]},
        agencies_with_cards=len(with_cards),
        logins_file=logins,
        atm_keys_file=atm_keys,
        seconds=seconds,
    )


async def _programme(work: Work) -> None:
    await banks.establish(work)
    await agencies.establish(work, cambodia.AGENCIES)


async def _bank(work: Work, *, vault: Vault, everybody: Sequence[Person]) -> None:
    """One bank's accounts and people, whole or not at all."""
    for kind in HOUSE:
        for currency in Currency:
            await house_account(work, kind, currency)
    await terms.establish(work, terms.Sort.RATES, msgspec.to_builtins(FIRST_RATE))
    known = await holders.by_ids(work, [holder_id(person.place) for person in everybody])
    fresh = [person for person in everybody if holder_id(person.place) not in known]
    if not fresh:
        return
    await enrolment.bulk_enrol(work, vault, [newcomer(p) for p in fresh if p.has_card])
    waiting = [person for person in fresh if not person.has_card]
    await holders.bring_in(work, [_holder(p, HolderStatus.APPLICANT) for p in waiting])
    await smart_ids.bring_in(work, [_coming(person) for person in waiting], {})
    await holders.set_phones(work, vault, {holder_id(p.place): p.phone for p in fresh})
    await applications.bring_in(work, [_application(person) for person in fresh])


def newcomer(person: Person) -> Newcomer:
    """The seeded person with a card; benchmarks enrol many more of them than the seed does."""
    return Newcomer(
        holder=_holder(person, HolderStatus.ACTIVE),
        smart_id_id=_smart_id_id(person.place),
        serial=_serial(person),
        issued_on=FIRST_DAY,
    )


def holder_id(place: int) -> HolderId:
    return HolderId(derived_id(_ROOT, f"holder:{place}"))


def _smart_id_id(place: int) -> SmartIdId:
    return SmartIdId(derived_id(_ROOT, f"smart-id:{place}"))


def _serial(person: Person) -> int:
    return person.place + 1


def _holder(person: Person, status: HolderStatus) -> Holder:
    return Holder(
        id=holder_id(person.place),
        bank=person.bank,
        agency=person.agency,
        staff_no=person.staff_no,
        name_latin=person.name_latin,
        name_khmer=person.name_khmer,
        language=person.language,
        status=status,
    )


def _coming(person: Person) -> SmartId:
    return SmartId(
        id=_smart_id_id(person.place),
        bank=person.bank,
        holder_id=holder_id(person.place),
        identity_state=IdentityState(_state(person).value),
        payment_state=PaymentState.INACTIVE,
    )


def _state(person: Person) -> ApplicationState:
    if person.has_card:
        return ApplicationState.HANDED_OVER
    return _EARLIER[person.place % len(_EARLIER)]


def _application(person: Person) -> Application:
    """The application with the days it took: from list to hand-over in nine days at most."""
    state = _state(person)
    reached = list(ApplicationState).index(state)
    steps = [_moment(person, step) if step <= reached else None for step in range(6)]
    applied_at = steps[0]
    assert applied_at is not None  # noqa: S101 - everybody has applied
    return Application(
        id=derived_id(_ROOT, f"application:{person.place}"),
        bank=person.bank,
        agency=person.agency,
        holder_id=holder_id(person.place),
        smart_id_id=_smart_id_id(person.place),
        staff_no=person.staff_no,
        state=state,
        applied_at=applied_at,
        checked_at=steps[1],
        sent_to_bank_at=steps[2],
        printed_at=steps[3],
        with_agency_at=steps[4],
        handed_over_at=steps[5],
    )


_DAYS_BEFORE: Final = (9, 7, 6, 4, 2, 0)
"""How many days before the launch each step was taken."""


def _moment(person: Person, step: int) -> datetime:
    day = FIRST_DAY - timedelta(days=_DAYS_BEFORE[step])
    opening = datetime.combine(day, clock_time(8), tzinfo=PHNOM_PENH)
    return (opening + timedelta(minutes=person.place % 480)).astimezone(UTC)


def payee(person: Person) -> Payee:
    """The person as the agency's payroll knows them."""
    return Payee(
        staff_no=person.staff_no,
        account_no=enrolment.wallet_number(person.bank, Currency.KHR, _serial(person)),
        name_latin=person.name_latin,
        name_khmer=person.name_khmer,
    )


def salary_file(agency: AgencyId, *, period: str, half: int) -> bytes:
    """A valid salary CSV for an agency's seeded people with cards: `period` 2026-01, `half` 1|2."""
    paid = [p for p in cambodia.everybody() if p.agency == agency and p.has_card]
    return salary_csv([payee(person) for person in paid], period=period, half=half)


def people_with_cards(bank: BankId) -> list[Person]:
    """The seeded people of a bank who hold a card: whom a demo may tell its story with."""
    return [p for p in cambodia.everybody() if p.bank == bank and p.has_card]

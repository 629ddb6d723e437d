"""What stands before the matrix is run: one holder's things, one bank's, one agency's, and whoever
may and may not reach them."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

import asyncpg
import httpx

from api.resources import Resources
from simulators.phone import Phone
from tests import world
from tests.canary.day import CAFE, Day
from tests.canary.spelling import Secrets
from tests.desk import Desk
from tests.matrix import callers
from tests.matrix.callers import Asked, Caller
from tests.wallet.qr_steps import code_of
from wallet.access import atm_hosts
from wallet.access.machines import Machine, MachineKind, atm_host
from wallet.access.members import StaffKind
from wallet.clock import TurnedClock, day_of
from wallet.identifiers import AgencyId, BankId
from wallet.work import SYSTEM

ACLEDA, WING = BankId("ACLEDA"), BankId("WING")
MCS, MOEYS = AgencyId("MCS"), AgencyId("MOEYS")
STAFF: Final = (
    "maker.mcs", "checker.mcs", "checker.moeys", "maker.acleda", "checker.acleda", "checker.wing",
    "dara", "bopha", "admin.one", "admin.two",
    "trainee.support", "trainee.admin", "trainee.mcs", "trainee.acleda",
)  # fmt: skip
MACHINES: Final = (
    atm_host(ACLEDA),
    atm_host(WING),
    Machine(kind=MachineKind.BANK, bank=ACLEDA),
    Machine(kind=MachineKind.BANK, bank=WING),
    Machine(kind=MachineKind.AGENCY, agency=MCS),
    Machine(kind=MachineKind.AGENCY, agency=MOEYS),
)


class Furniture:
    """`own`: the id that stands in each place of a path, by the place's name or, where two rooms
    use one name, by door and name; `owners`: whose they are, by door."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        resources: Resources,
        desk: Desk,
        clock: TurnedClock,
        database_url: str,
    ) -> None:
        self.client = client
        self.resources = resources
        self.desk = desk
        self.clock = clock
        self.database_url = database_url
        self.day = Day(client, resources, desk, clock, Secrets(), database_url)
        self.callers: list[Caller] = []
        self.own: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        self.smart_id_number = ""

    def called(self, name: str) -> Caller:
        return next(caller for caller in self.callers if caller.name == name)

    async def furnish(self) -> None:
        await self._a_day()
        await self._everybody()
        await self._of_the_holder()
        await self._of_the_houses()
        await self._an_order()

    async def _a_day(self) -> None:
        day = self.day
        await day.furnish()
        async with day.outside.open():
            await day.pair_and_sign_in()
            await day.pay()
            await day.cards_in_the_app()
            await day.card_at_the_atm()
            await day.purchases()
            await day.top_up()
        await day.later()
        slip = await day._ask_card()
        self.own["reference"] = slip.body["claim"]["reference"]
        self.own |= {
            "request_key": f"card-{day._stan}",
            "rrn": f"601209{day._stan:06d}",
            "stan": f"{day._stan:06d}",
            "local_date": day_of(self.clock.now()).isoformat(),
        }
        waiting = await day.phone.prepare("qr.pay", code=code_of(self.clock, amount="900000"))
        self.own["intent_id"] = waiting["id"]
        self.smart_id_number = day.holder.smart_id_number
        await self._forced()

    async def _forced(self) -> None:
        """More than there is, which the network took all the same: a case for either house."""
        card = self.day.keyed_in()
        body = {"bank": ACLEDA, "card": card, "merchant": CAFE, "amount_minor": 90_000_000}
        answer = await self.client.post("/v1/sim/force", json=body)
        assert answer.is_success, answer.text

    async def _everybody(self) -> None:
        works, vault = self.resources.works, self.resources.vault
        await works.perform(
            SYSTEM, WING, lambda work: atm_hosts.list_terminals(work, WING, ["ATM1"], ["Olympic"])
        )
        same = await world.holder(works, khr=1_000_000, vault=vault, phone="+85512000001")
        other = await world.holder(works, bank="WING", khr=1_000_000, vault=vault)
        self.neighbour = same
        people = (
            ("the holder", self.day.holder),
            ("a neighbour", same),
            ("of another bank", other),
        )
        self.callers += callers.strangers(self.client)
        for name, one in people:
            self.callers.append(
                await callers.holder(self.client, self.database_url, name, one.id, self.clock)
            )
        await self._a_role_that_allows_nothing()
        await self.day.later()
        for login in STAFF:
            self.callers.append(await callers.staff(self.client, self.desk, login))
        for machine in MACHINES:
            self.callers.append(
                await callers.machine(self.client, works, vault, self.clock, machine)
            )
        await self.desk.enrol("vanna")
        self.owners = {
            "mobile": str(self.day.holder.id),
            "bank": ACLEDA,
            "atm": ACLEDA,
            "agency": MCS,
            "support": "",
            "admin": "",
        }

    async def _a_role_that_allows_nothing(self) -> None:
        kinds = [kind.value for kind in StaffKind]
        admin = await asyncpg.connect(self.database_url)
        await admin.execute("insert into staff_roles values ('trainee', false, $1)", kinds)
        await admin.close()

    async def _of_the_holder(self) -> None:
        holder_id = self.day.holder.id
        admin = await asyncpg.connect(self.database_url)
        for place, sql in _OF_HOLDER.items():
            found = await admin.fetchval(sql, holder_id)
            assert found is not None, place
            self.own[place] = str(found)
        await admin.close()
        self.own["staff_no"] = self.day.holder.staff_no
        self.own |= {"holder_id": str(holder_id), "smart_id": str(self.day.holder.smart_id_id)}

    async def _an_order(self) -> None:
        path = f"/v1/bank/people/{self.own['holder_id']}/erasure"
        await self._made("maker.acleda", path, {"reason": "Order 2026/17 of the bank."})

    async def _of_the_houses(self) -> None:
        await self._of_the_bank()
        run = await self._made("maker.mcs", "/v1/agency/salary-files", self._salary_file())
        self.own["run_id"] = _id_of(run)
        await self._of_the_desk()
        vanna = str(self.desk.people["vanna"].id)
        change = await self._made(
            "admin.one",
            f"/v1/admin/staff/{vanna}/roles",
            {"roles": ["agent"], "why": "Goes back to the phones."},
        )
        self.own |= {"admin change_id": _id_of(change), "staff_id": vanna}

    async def _of_the_bank(self) -> None:
        number = {"smart_id_number": self.smart_id_number, "phone": "+85512000002"}
        phone = Phone(self.client, now=self.clock.now, number="+85512000001")
        shown = await phone.begin_pairing()
        neighbour = {"smart_id_number": self.neighbour.smart_id_number, "code": shown}
        sheet = {"mid_hundredths": 409_850, "spread_bps": 50}
        later = {"sheet": sheet, "effective_from": "2026-02-01T00:00:00+07:00"}
        tier = {"tier": "basic", "why": "Came to the branch."}
        asked = {
            "bank change_id": ("phone-number-changes", number),
            "bank pairing_id": ("pairing-requests", neighbour),
            "sheet_id": ("rates", later),
            "version_id": ("controls", {"sheet": {}}),
            "request_id": (f"people/{self.own['holder_id']}/tier", tier),
        }
        for place, (path, body) in asked.items():
            made = await self._made("maker.acleda", f"/v1/bank/{path}", body)
            self.own[place] = _id_of(made)

    async def _of_the_desk(self) -> None:
        paid = self.own["transfer_id"]
        transfer = {"transaction_id": paid, "reason": "OTHER", "statement": "No."}
        dispute = await self._made("the holder", "/v1/mobile/disputes", transfer)
        emergency = await self._made(
            "dara", "/v1/support/emergency-access", {"reason": "Hospital asks for the family."}
        )
        refund = await self._made(
            "dara",
            f"/v1/support/disputes/{dispute['dispute_id']}/refunds",
            {
                "amount": {"amount_minor": 600_000, "currency": "KHR"},
                "source": "COUNTERPARTY",
                "why": "The shop confirms it.",
            },
        )
        self.own |= {
            "dispute_id": _id_of(dispute),
            "case_number": dispute["case_number"],
            "refund_id": _id_of(refund),
            "emergency_id": _id_of(emergency),
        }

    def _salary_file(self) -> str:
        one = self.day.holder
        return "\n".join(
            (
                "staff_no,account_no,name_latin,name_khmer,amount_khr,period,half",
                f"{one.staff_no},{one.khr_number},{one.name_latin},{one.name_khmer},500000,2026-01,1",
                "TOTAL,1,500000",
                "",
            )
        )

    async def _made(self, name: str, path: str, body: Any) -> dict[str, Any]:
        kind = "text/csv" if isinstance(body, str) else "application/json"
        asked = Asked(method="POST", path=path, body=body, kind=kind, keyed=True)
        answer = await self.called(name).ask(asked)
        assert answer.is_success, f"{name} {path}: {answer.text}"
        made: dict[str, Any] = answer.json()
        return made


async def fingerprint(database_url: str) -> dict[str, tuple[int, int]]:
    """Of every table, how many rows there are and which wrote last."""
    admin = await asyncpg.connect(database_url)
    tables: Sequence[Any] = await admin.fetch(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema')"
    )
    found = {}
    for table in tables:
        row = await admin.fetchrow(
            "select count(*) as rows, coalesce(max(xmin::text::bigint), 0) as newest"
            f" from {table['name']}"
        )
        assert row is not None
        found[table["name"]] = row["rows"], row["newest"]
    await admin.close()
    return found


def _id_of(made: dict[str, Any]) -> str:
    """The id a door gave to what it made, whatever it calls it."""
    found: str = next(value for name, value in made.items() if name == "id" or name.endswith("_id"))
    return found


def nobodys(place: str, own: str) -> str:
    """An id of the same form that is nobody's."""
    if own.isdigit():
        return str(int(own) + 1_000_000_000)
    if place == "request_key":
        return "card-never-asked"
    if place == "reference":
        return own[::-1] if own[::-1] != own else own[1:] + own[:1]
    return str(uuid4())


_OF_HOLDER: Final = {
    "account_id": "select id from accounts where holder_id = $1 and currency = 'KHR'",
    "card_id": "select id from virtual_cards where holder_id = $1 and state = 'ACTIVE' limit 1",
    "token_id": "select id from card_tokens where holder_id = $1 limit 1",
    "purchase_id": "select id from authorisations where holder_id = $1 limit 1",
    "bank account_id": "select id from accounts where holder_id is null and bank = 'ACLEDA'"
    " and $1::uuid is not null limit 1",
    "bank case_id": "select transfer_id from shortfalls where $1::uuid is not null limit 1",
    "support case_id": "select id from authorisation_cases where $1::uuid is not null limit 1",
    "topup_id": "select id from topups where holder_id = $1 limit 1",
    "session_id": "select id from sessions where holder_id = $1",
    "transfer_id": "select id from intents where holder_id = $1 and kind = 'qr.pay'"
    " and state = 'DONE' order by amount_minor desc limit 1",
}

"""The staff as every room knows them: who somebody is, and what they may do.

Promise: read only. What a member may do is looked up in `role_permissions` each time they are
recognised, so that a change of roles or of what a role allows counts from that moment.
Who calls: staff_sessions, staff, and through them the doors; salary and disputes (permissions).
"""

import enum
from typing import Final

from msgspec import Struct

from wallet.identifiers import AgencyId, BankId, StaffId
from wallet.outcomes import Reason, Refused
from wallet.work import Actor, ActorKind, Work


class StaffKind(enum.StrEnum):
    """What door a person may come through; each door takes one kind."""

    AGENCY_OFFICER = "agency_officer"
    BANK_CLERK = "bank_clerk"
    SUPPORT = "support"
    ADMIN = "admin"


class Role(enum.StrEnum):
    """The roles that the programme begins with. Nothing is decided by them: see Permission."""

    MAKER = "maker"
    CHECKER = "checker"
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


class Permission(enum.StrEnum):
    """What the program asks for before it lets somebody act; which roles give it is data."""

    SALARY_SEND = "salary.send"
    SALARY_APPROVE = "salary.approve"
    LEAVING_REPORT = "leaving.report"
    PAIRING_ASK = "pairing.ask"
    PAIRING_APPROVE = "pairing.approve"
    NUMBER_ASK = "number.ask"
    NUMBER_APPROVE = "number.approve"
    DEVICE_REVOKE = "device.revoke"
    TERMS_PROPOSE = "terms.propose"
    TERMS_APPROVE = "terms.approve"
    CONTROLS_PROPOSE = "controls.propose"
    CONTROLS_APPROVE = "controls.approve"
    OPERATIONS_ASK = "operations.ask"
    OPERATIONS_APPROVE = "operations.approve"
    PERSON_EXPORT = "person.export"
    ERASURE_ASK = "erasure.ask"
    ERASURE_APPROVE = "erasure.approve"
    CASE_WORK = "case.work"
    REFUND_ASK = "refund.ask"
    REFUND_APPROVE = "refund.approve"
    HOLDER_UNMASK = "holder.unmask"
    EMERGENCY_OPEN = "emergency.open"
    EMERGENCY_REVIEW = "emergency.review"
    STAFF_CHANGE = "staff.change"
    STAFF_APPROVE = "staff.approve"


class Member(Struct, frozen=True, kw_only=True):
    """One of the staff, as recognised. `needs_passkey`: a role of theirs asks for one."""

    id: StaffId
    kind: StaffKind
    name: str
    roles: frozenset[str]
    permissions: frozenset[str]
    needs_passkey: bool = False
    bank: BankId | None = None
    agency: AgencyId | None = None

    @property
    def actor(self) -> Actor:
        return Actor(
            kind=ActorKind(self.kind.value), id=str(self.id), bank=self.bank, agency=self.agency
        )

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions


async def member_of(work: Work, staff_id: StaffId) -> Member:
    """The member with this id, if still on the staff. Refuses: NOT_FOUND."""
    member = await work.struct(Member, _MEMBER, staff_id)
    if member is None:
        raise Refused(Reason.NOT_FOUND)
    return member


FIELDS: Final = """
    staff.id, staff.kind, staff.name, staff.roles, staff.bank, staff.agency,
    array(select distinct p.permission from role_permissions p
          where p.role = any(staff.roles)) as permissions,
    exists (select from staff_roles r
            where r.role = any(staff.roles) and r.needs_passkey) as needs_passkey
"""
"""What a Member is made of, to stand in a statement over `staff`."""

_MEMBER: Final = f"""
select {FIELDS} from staff where id = $1 and disabled_at is null
"""  # noqa: S608 - of constants

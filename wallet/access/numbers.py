"""A holder's telephone number changed: by card and PIN at an ATM, or by two clerks of the bank.

Promise: the same ceremony as for a phone, since codes go to this number: no message, no session and
no signature can change it. The change, a 12-hour cooling-off of the holder's phone, the end of its
sessions, the notice in the inbox and the messages to both numbers are one transaction.

Tables owned: number_changes (the number itself lies with the holder, in the registry).

    (card + PIN at an ATM) ----------------------> DONE
    REQUESTED --a second clerk, fresh code-------> DONE
              --asked for anew-------------------> REPLACED

Who calls: the ATM door, the banks' door; telling (the former number).
"""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.access import approvals, devices, sessions
from wallet.access.members import Permission
from wallet.events import SecurityNotice
from wallet.identifiers import HolderId, Secret, new_id
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.vault import Vault, person_scope
from wallet.work import Work

ACT: Final = "number.change"
"""What the banks' clerks ask each other's approval for."""
TELL: Final = "security.tell"
"""The name of the job that sends a message; its payload names whom, what and in which language."""


class Directory(Struct, frozen=True, kw_only=True):
    """The holders' own register of numbers, as whoever wires hands it in."""

    of: Callable[[Work, Vault, HolderId], Awaitable[Secret[str] | None]]
    put: Callable[[Work, Vault, dict[HolderId, str]], Awaitable[None]]
    well_formed: Callable[[str], bool]


async def change_at_atm(
    work: Work, vault: Vault, directory: Directory, holder_id: HolderId, number: Secret[str]
) -> Outcome:
    """Change the number of the holder whose card and PIN the bank's host has verified.

    Refuses: PHONE_INVALID.
    """
    if not directory.well_formed(number.reveal()):
        raise Refused(Reason.PHONE_INVALID)
    change_id = new_id()
    await _write(work, vault, change_id, holder_id, number, "atm")
    return await _take(work, vault, directory, change_id, holder_id, number)


async def request_by_clerk(
    work: Work, vault: Vault, directory: Directory, holder_id: HolderId, number: Secret[str]
) -> Outcome:
    """Ask, as a clerk, that a second one approve this number for this holder; answers `change_id`.

    Refuses: PHONE_INVALID, FORBIDDEN.
    """
    if not directory.well_formed(number.reveal()):
        raise Refused(Reason.PHONE_INVALID)
    change_id = new_id()
    await _write(work, vault, change_id, holder_id, number, "branch")
    await approvals.request(
        work,
        ACT,
        str(change_id),
        _payload(vault, change_id, holder_id, number),
        permission=Permission.NUMBER_ASK,
    )
    return Done(answer={"change_id": str(change_id), "state": "REQUESTED"})


async def approve_by_clerk(
    work: Work, vault: Vault, directory: Directory, change_id: UUID, code: Secret[str]
) -> Outcome:
    """Change the number as a second clerk, proven by a fresh time code.

    Declines: OTP_WRONG, LOCKED, APPROVAL_EXPIRED. Refuses: NOT_FOUND, FORBIDDEN, FOUR_EYES,
    ILLEGAL_TRANSITION, CONFLICT, PHONE_INVALID.
    """
    row = await work.row(_LOCK, change_id)
    if row is None or row["bank"] != work.bank:
        raise Refused(Reason.NOT_FOUND)
    if row["state"] != "REQUESTED":
        raise Refused(Reason.ILLEGAL_TRANSITION, state=row["state"])
    asked = await approvals.newest(work, ACT, str(change_id))
    if asked is None:
        raise Refused(Reason.NOT_FOUND)
    number = await _number(work, vault, row["number_sealed"], "number_sealed", change_id)
    payload = _payload(vault, change_id, row["holder_id"], number)
    approved = await approvals.approve(
        work,
        vault,
        asked.id,
        act=ACT,
        payload_hash=payload,
        code=code,
        permission=Permission.NUMBER_APPROVE,
    )
    if isinstance(approved, Declined):
        return approved
    spent = await approvals.execute(work, asked.id, act=ACT, payload_hash=payload)
    if isinstance(spent, Declined):
        return spent
    return await _take(work, vault, directory, change_id, row["holder_id"], number)


async def tell(work: Work, holder_id: HolderId, what: str, about: UUID, **payload: str) -> None:
    """Want a message sent that only tells: `what` is a key of `telling.TEXTS`."""
    language = await work.value(_LANGUAGE, holder_id)
    told = {"bank": work.bank, "holder_id": str(holder_id), "what": what, "ref": str(about)}
    work.later(TELL, {**told, **payload, "language": language or "km"})


_LANGUAGE: Final = "select language from holders where id = $1"


async def former(work: Work, vault: Vault, change_id: UUID) -> Secret[str] | None:
    """The number a change took away, for the message that tells it; None when there was none."""
    sealed = await work.value("select former_sealed from number_changes where id = $1", change_id)
    if sealed is None:
        return None
    return await _number(work, vault, sealed, "former_sealed", change_id)


async def _write(
    work: Work,
    vault: Vault,
    change_id: UUID,
    holder_id: HolderId,
    number: Secret[str],
    channel: str,
) -> None:
    sealed = await _seal(work, vault, holder_id, "number_sealed", change_id, number)
    await work.execute(_REPLACE, holder_id)
    await work.execute(_ADD, change_id, work.bank, holder_id, sealed, channel, work.now)
    work.note("number.request", str(change_id), holder_id=holder_id, reason=channel)


async def _take(
    work: Work,
    vault: Vault,
    directory: Directory,
    change_id: UUID,
    holder_id: HolderId,
    number: Secret[str],
) -> Outcome:
    before = await directory.of(work, vault, holder_id)
    await directory.put(work, vault, {holder_id: number.reveal()})
    sealed = None
    if before is not None:
        sealed = await _seal(work, vault, holder_id, "former_sealed", change_id, before)
    await work.execute(_DONE, change_id, work.now, sealed)
    await devices.cool(work, holder_id)
    await sessions.end_all(work, holder_id)
    work.note("number.change", str(change_id), holder_id=holder_id)
    work.emit(SecurityNotice(holder_id=holder_id, what="number_changed"))
    await tell(work, holder_id, "number_changed", change_id, change_id=str(change_id))
    return Done(answer={"change_id": str(change_id), "state": "DONE"})


async def _seal(
    work: Work, vault: Vault, holder_id: HolderId, column: str, row_id: UUID, number: Secret[str]
) -> bytes:
    scope = person_scope(holder_id)
    plain = number.reveal().encode()
    return await vault.seal(work, scope, "number_changes", column, row_id, plain)


async def _number(
    work: Work, vault: Vault, sealed: bytes, column: str, row_id: UUID
) -> Secret[str]:
    plain = await vault.unseal(work, sealed, "number_changes", column, row_id)
    return Secret(plain.reveal().decode())


def _payload(vault: Vault, change_id: UUID, holder_id: HolderId, number: Secret[str]) -> bytes:
    return approvals.hash_of(
        {
            "change_id": str(change_id),
            "holder_id": str(holder_id),
            "number": vault.blind_index("number.change", number.reveal()).hex(),
        }
    )


_REPLACE: Final = """
update number_changes set state = 'REPLACED' where holder_id = $1 and state = 'REQUESTED'
"""

_ADD: Final = """
insert into number_changes (id, bank, holder_id, number_sealed, state, channel, requested_at)
values ($1, $2, $3, $4, 'REQUESTED', $5, $6)
"""

_LOCK: Final = """
select bank, holder_id, number_sealed, state from number_changes where id = $1 for update
"""

_DONE: Final = """
update number_changes set state = 'DONE', done_at = $2, former_sealed = $3 where id = $1
"""

"""Making a person who has gone unreadable, for ever.

Promise: afterwards no row, no dump without the key table and no process (after
`vault.CACHED_FOR_S`) tells who they were: the key of their sealed fields is destroyed, names,
telephones and statements are gone, their phone is out of service. What the law keeps of money
stays: accounts, transfers and cases by number, whose sums are as before (decision 0039 lists both).
All of it in one Work, audited with its reason, which spends the order of two of the bank's staff
(`access.erasing`): nobody erases alone.

Tables owned: none. Who calls: runtime's `smartid vault shred`.
"""

from wallet.access import devices, erasing
from wallet.disputes import cases
from wallet.identifiers import HolderId
from wallet.ledger import chart, statement
from wallet.outcomes import Reason, Refused
from wallet.registry import holders
from wallet.topups import reading as topups
from wallet.vault import Vault
from wallet.work import Work


async def erase(work: Work, vault: Vault, holder_id: HolderId, *, reason: str) -> None:
    """Erase one person. Done again, by an order of its own, it changes nothing but leaves another
    audit row.

    Refuses: INVALID_REQUEST (no reason), NOT_FOUND, ILLEGAL_TRANSITION (the person has not left,
    retired or died), CONFLICT (there is money in a wallet, or held; a case is open; the order has
    another reason), FOUR_EYES (no order of two people stands).
    """
    if not reason.strip():
        raise Refused(Reason.INVALID_REQUEST, field="reason")
    await holders.erase(work, vault, holder_id)
    wallets = await chart.wallets_of_holder(work, holder_id)
    balances = await statement.balances(work, [wallet.id for wallet in wallets])
    if any(balance.posted.minor or balance.held.minor for balance in balances.values()):
        raise Refused(Reason.CONFLICT, field="balance")
    await cases.forget_statements(work, holder_id)
    await devices.revoke(work, holder_id, reason="erased")
    await topups.forget_numbers(work, holder_id)
    await erasing.spend(work, holder_id, reason)
    work.note(erasing.ACT, str(holder_id), holder_id=holder_id, reason=reason)

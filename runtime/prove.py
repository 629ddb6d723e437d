"""`smartid prove`: every room's checks of its books and the seals over them, told line by line.

Called by runtime.cli and runtime.demo.
"""

import importlib
import pkgutil
import time
from collections.abc import Callable, Iterable
from typing import Final

import wallet
from wallet.ledger.proof import Check, Finding, prove
from wallet.seals.chain import Keys
from wallet.seals.proving import Known, prove_seals
from wallet.work import Works

_EXPORTED_AS: Final = "CHECKS"


async def tell(
    works: Works,
    keys: Keys,
    say: Callable[[str], None] = print,
    *,
    whole: bool = True,
    known: Iterable[Known] = (),
) -> bool:
    """Run every check; whether the books are right.

    `keys`: whose seals are believed. `whole=False` leaves out what was proved before: sealed rows
    up to the last seal found right, and the checks that add up all of history.
    """
    began = time.monotonic()
    checks = [check for check in all_checks() if whole or not check.of_history]
    findings = await prove(works, checks)
    for finding in findings:
        _tell(finding, say)
    sealed = await prove_seals(works, keys, whole=whole, known=known)
    for finding in sealed.findings:
        _tell(finding, say)
    seals = f"seals {sealed.first_seal} to {sealed.last_seal}" if sealed.rows else "no new seals"
    say(f"{seals}, {sealed.rows:,} sealed rows; {time.monotonic() - began:.1f} s")
    right = sealed.right and all(finding.right for finding in findings)
    say("the books are right" if right else "THE BOOKS ARE NOT RIGHT")
    return right


def _tell(finding: Finding, say: Callable[[str], None]) -> None:
    say(f"{'right' if finding.right else 'WRONG'}  {finding.check}")
    if finding.difference is not None:
        say(f"       {finding.difference}")


def all_checks() -> list[Check]:
    """What every module of the wallet exports as CHECKS: a new room's cannot be forgotten."""
    checks: list[Check] = []
    for module in pkgutil.walk_packages(wallet.__path__, "wallet."):
        if module.name.startswith("wallet.migrations."):
            continue  # revisions and Alembic's environment run when imported
        exported = vars(importlib.import_module(module.name)).get(_EXPORTED_AS, ())
        if not all(isinstance(check, Check) for check in exported):
            raise TypeError(f"{module.name}.{_EXPORTED_AS} is the name of a room's checks")
        checks += [check for check in exported if check not in checks]
    return checks

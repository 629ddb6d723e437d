"""`smartid prove`: every room's checks of its books, on the running system, told line by line.

Called by runtime.cli and runtime.demo.
"""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Final

import wallet
from wallet.ledger.proof import Check, prove
from wallet.work import Works

_EXPORTED_AS: Final = "CHECKS"


async def tell(works: Works, say: Callable[[str], None] = print) -> bool:
    """Run every check; whether the books are right."""
    findings = await prove(works, all_checks())
    for finding in findings:
        say(f"{'right' if finding.right else 'WRONG'}  {finding.check}")
        if finding.difference is not None:
            say(f"       {finding.difference}")
    right = all(finding.right for finding in findings)
    say("the books are right" if right else "THE BOOKS ARE NOT RIGHT")
    return right


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

"""What everybody should own: a dict, to which each acknowledged act adds its effect once.

Promise: knows nothing of how the wallet works. An act is open until somebody was told how it
ended; told two different endings, or told "done" of something that then is not, is a fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wallet.identifiers import AccountId

Effects = Mapping[AccountId, int]


@dataclass
class Asked:
    """An act that was asked for: what it does to whose money if it took place."""

    what: str
    effects: Effects
    ending: str | None = None


@dataclass
class Model:
    """Accounts by what should be in them (minor units), acts by their ids."""

    owned: dict[AccountId, int] = field(default_factory=dict)
    acts: dict[str, Asked] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def ask(self, act_id: str, what: str, effects: Effects) -> None:
        """Somebody signs or sends it; asking again for the same is the same act."""
        self.acts.setdefault(act_id, Asked(what, dict(effects)))

    def told(self, act_id: str, ending: str) -> None:
        """`done`, or the code of a definite no. Only the first telling changes anything."""
        act = self.acts[act_id]
        if act.ending is None:
            act.ending = ending
            if ending == "done":
                self.apply(act.effects)
        elif (act.ending == "done") != (ending == "done"):
            self.faults.append(f"{act.what} {act_id}: told {act.ending}, then {ending}")

    def apply(self, effects: Effects) -> None:
        for account, minor in effects.items():
            self.owned[account] = self.owned.get(account, 0) + minor

    def open(self) -> list[str]:
        """The acts whose ending nobody has heard."""
        return [act_id for act_id, act in self.acts.items() if act.ending is None]

    def compare(self, found: Effects) -> list[str]:
        """Every account that holds something else than it should."""
        return self.faults + [
            f"account {account} holds {found.get(account)}, should hold {minor}"
            for account, minor in self.owned.items()
            if found.get(account) != minor
        ]

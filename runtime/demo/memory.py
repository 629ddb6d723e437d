"""What the story remembers, on disk before it acts: ids before requests, answers after them.

Promise: told to begin again after any kill, the story asks with the same ids and keys, so nothing
it did is done twice. Once it has ended, the next telling is a new day. Who calls: story, main.
"""

import json
import os
from pathlib import Path
from typing import Any

from wallet.identifiers import new_id

FIRST_YEAR = 2026


def period_of(day: int) -> tuple[str, int]:
    """The half month a telling pays, as (2026-01, 1)."""
    month, half = divmod(day, 2)
    return f"{FIRST_YEAR + month // 12}-{month % 12 + 1:02d}", half + 1


class Memory:
    """A small file of facts, written whole or not at all."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._facts: dict[str, Any] = {"day": 0}
        if file.exists():
            self._facts = json.loads(file.read_text("utf-8"))
        self._facts.setdefault("story", str(new_id()))
        self._write()

    @property
    def day(self) -> int:
        """How often the story has been told to its end."""
        return int(self._facts["day"])

    @property
    def period(self) -> tuple[str, int]:
        """The half month this telling pays: a new one each time, from January 2026."""
        return period_of(self.day)

    @property
    def terminal_count(self) -> int:
        """Counts every reference an ATM has used, over all tellings."""
        count = int(self._facts.get("terminal_count", 0)) + 1
        self.keep("terminal_count", count)
        return count

    def key(self, step: str) -> str:
        """The Idempotency-Key of a step of this telling."""
        return f"{self._facts['story']}:{step}"

    def recall(self, name: str) -> Any:
        return self._facts.get(f"{self._facts['story']}:{name}")

    def remember(self, name: str, fact: Any) -> Any:
        """Keep a fact of this telling; answers it."""
        self.keep(f"{self._facts['story']}:{name}", fact)
        return fact

    def forget(self, name: str) -> None:
        """A fact of this telling that turned out to lead nowhere."""
        self._facts.pop(f"{self._facts['story']}:{name}", None)
        self._write()

    def keep(self, name: str, fact: Any) -> None:
        self._facts[name] = fact
        self._write()

    def end(self) -> None:
        """This telling is over: forget its steps, and begin the next half month."""
        self._facts = {
            "day": self.day + 1,
            "terminal_count": self._facts.get("terminal_count", 0),
            "story": str(new_id()),
        }
        self._write()

    def _write(self) -> None:
        fresh = self._file.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(self._facts, out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._file)

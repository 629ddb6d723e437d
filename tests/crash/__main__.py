"""Everything that is killed, cut and filled, in one go, and one line of what came of it.

`make crash`, or `python -m tests.crash NAME...` for some of its parts. Each part is a run of its
own tests, which fail on the first loss; what they printed is added up. `CRASH_SEED` as ever.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Final

PARTS: Final = {
    "serving": "tests/crash/test_serving_kills.py",
    "demo": "tests/crash/test_kills.py",
    "commits": "tests/crash/test_cut_commits.py",
    "power": "tests/crash/test_power_cut.py",
    "disk": "tests/crash/test_disk_full.py",
    "numbers": "tests/crash/test_reused_ids.py",
    "days": "tests/simulation",
}
LONG: Final = {"days": ("-m", "long")}
"""Of which parts the short tests belong to `make test` alone."""
AIMS: Final = {"kills": 300, "cut COMMITs": 1_000, "power cuts": 20, "full disks": 1}
_TOLD: Final = (
    (re.compile(r"^(\d+) kills .*: (\d+) acknowledged, lost 0, doubled 0"), "kills"),
    (re.compile(r"^(\d+) kills in one telling(.*)"), "kills"),
    (re.compile(r"^(\d+) cuts, (\d+) acts; "), "cut COMMITs"),
    (re.compile(r"^(\d+) cuts, (\d+) acknowledged, 0 lost"), "power cuts"),
    (re.compile(r"^(\d+) done of (\d+); while full"), "full disks"),
)


def read(lines: Iterable[str]) -> Counter[str]:
    """What the tests printed, added up."""
    told: Counter[str] = Counter()
    for line in lines:
        for pattern, what in _TOLD:
            found = pattern.match(line.lstrip("."))
            if found is None:
                continue
            told[what] += 1 if what == "full disks" else int(found[1])
            acknowledged = found[1] if what == "full disks" else found[2]
            told["acknowledged"] += int(acknowledged) if acknowledged.isdigit() else 0
    return told


def summary(told: Counter[str], failed: list[str]) -> str:
    """The one line: nothing is called lost or doubled unless a part says so by failing."""
    counted = ", ".join(f"{told[what]} of {aim} {what}" for what, aim in AIMS.items())
    lost = f"FAILED: {', '.join(failed)}" if failed else "0 lost, 0 doubled"
    return f"crash: {counted}; {told['acknowledged']} acknowledged, {lost}"


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    told: Counter[str] = Counter()
    failed = []
    for name in names or PARTS:
        command = [sys.executable, "-m", "pytest", "-q", "-rA", *LONG.get(name, ()), PARTS[name]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(done.stdout, flush=True)
        told += read(done.stdout.splitlines())
        if done.returncode not in (0, 5):  # 5: a part without long tests
            failed.append(name)
    print(summary(told, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

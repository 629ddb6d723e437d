"""Faults planted in a copy of the program, each to be found by a test that stands against it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("wallet", "api", "notifications", "runtime", "simulators", "tests", "pyproject.toml")


class Fault(NamedTuple):
    """`right` stands once in `file`; with `wrong` in its place, `caught_by` fails."""

    file: str
    right: str
    wrong: str
    caught_by: str


def unplantable(faults: Iterable[Fault]) -> list[Fault]:
    """Those whose place in the source, or whose test, is not there any more."""
    return [
        fault
        for fault in faults
        if (ROOT / fault.file).read_text("utf-8").count(fault.right) != 1
        or f"def {fault.caught_by.rpartition('::')[2]}("
        not in (ROOT / fault.caught_by.partition("::")[0]).read_text("utf-8")
    ]


def copied_to(folder: Path) -> Path:
    """A copy of the program and its tests, to be spoilt."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def assert_caught(fault: Fault, copy: Path) -> None:
    """The test passes as the program is, and fails with the fault in it."""
    file = copy / fault.file
    right = file.read_text("utf-8")
    assert _outcome_of(fault.caught_by, copy) == 0, "without the fault it passes"
    file.write_text(right.replace(fault.right, fault.wrong), "utf-8")
    try:
        assert _outcome_of(fault.caught_by, copy) == 1, "and with it, fails"
    finally:
        file.write_text(right, "utf-8")


def _outcome_of(test: str, folder: Path) -> int:
    """As pytest exits: 0 all passed, 1 some failed, anything else it could not be run."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True,
    )  # fmt: skip
    return ran.returncode

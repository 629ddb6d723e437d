"""What is held and taken is never beyond what was allowed, but for what has a case: a test of that
finds each of these faults. The short form holds the table to the source, the long one runs it."""

from pathlib import Path

import pytest

from tests.planted import Fault, assert_caught, copied_to, unplantable

ROOM, TESTS = "wallet/authorisations", "tests/wallet/authorisations"
ANY = f"{TESTS}/test_properties.py::test_any_messages_leave_everything_in_agreement"

FAULTS = {
    "what is beyond has no case": Fault(
        f"{ROOM}/settling.py",
        "moved.cause = _cause(message, standing, open_s, moved)", "moved.cause = None", ANY,
    ),
    "what is taken stays held": Fault(
        f"{ROOM}/settling.py",
        "left_s = 0 if message.final else max(0, open_s - presented)", "left_s = open_s", ANY,
    ),
    "more comes back than was taken": Fault(
        f"{ROOM}/settling.py", "if minor > left:", "if minor > 2 * left:", ANY,
    ),
    "a purchase released stays held": Fault(
        f"{ROOM}/releasing.py",
        "held = counter.held_short(life, message, replace(standing, open_s=left_s))",
        "held = replace(standing, open_s=left_s)", ANY,
    ),
    "an advice allows nothing": Fault(
        f"{ROOM}/requests.py", "allowed_s=max(before, total)", "allowed_s=before", ANY,
    ),
    "what was taken counts against no limit": Fault(
        f"{ROOM}/settling.py",
        "counted = counter.recount(life, message, reheld, total)", "counted = reheld", ANY,
    ),
    "a repeat is decided anew": Fault(
        f"{ROOM}/serving.py", "if counter.lives.answered(message) is not None:", "if False:", ANY,
    ),
}  # fmt: skip


def test_every_fault_can_be_planted_and_its_test_exists() -> None:
    assert unplantable(FAULTS.values()) == []


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_to(tmp_path_factory.mktemp("copy"))


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught(name: str, copy: Path) -> None:
    assert_caught(FAULTS[name], copy)

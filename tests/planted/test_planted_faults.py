"""H4: tests test something. A fault is planted in a copy of the program, and the test that stands
against it must fail there. The short form holds the tables to the source, the long runs them."""

from pathlib import Path

import pytest

from tests.planted import gate, purchases
from tests.planted.faults import assert_caught, copied_to, unplantable

FAULTS = {**gate.FAULTS, **purchases.FAULTS}


def test_every_fault_can_be_planted_and_its_test_exists() -> None:
    assert len(FAULTS) == len(gate.FAULTS) + len(purchases.FAULTS)
    assert unplantable(FAULTS.values()) == []


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_to(tmp_path_factory.mktemp("copy"))


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_h4_a_planted_fault_is_caught(name: str, copy: Path) -> None:
    assert_caught(FAULTS[name], copy)

"""User stories A3, A7 and B1 list what may go wrong, by number: each number has a test named after
it in this folder or, of the machine, in tests/api/atm."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
STORIES = {
    "a3": (6, ["scenarios/test_a3_virtual_card.py"]),
    "a7": (3, ["scenarios/test_a7_lost_card.py"]),
    "b1": (12, ["api/atm/test_story_b1.py", "api/atm/test_cards.py"]),
}


@pytest.mark.parametrize("story", STORIES)
def test_every_bad_case_of_the_story_is_told(story: str) -> None:
    cases, files = STORIES[story]
    text = "\n".join((TESTS / file).read_text("utf-8") for file in files)
    told: set[int] = set()
    for numbers in re.findall(rf"def test_{story}((?:_\d+)+)_", text):
        told.update(int(number) for number in numbers.strip("_").split("_"))
    assert told >= set(range(1, cases + 1)), "a bad case without a test"
    assert "def test_ok_" in text, "nor when all goes well"

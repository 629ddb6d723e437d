"""The sums of `make crash`: what the tests print is read; a failure is never called 0 lost."""

from collections import Counter

from tests.crash.__main__ import read, summary

TOLD = """
25 kills {<Kind.API: 'api'>: 25}: 1811 acknowledged, lost 0, doubled 0
7 kills in one telling
1000 cuts, 2310 acts; {'200': 2310}
20 cuts, 912 acknowledged, 0 lost
.40 done of 61; while full: {(503, 'unavailable'): 21}
fsync off: 4 acknowledged payments lost
"""


def test_what_the_parts_print_is_added_up() -> None:
    told = read(TOLD.splitlines())
    assert told == Counter(
        {"kills": 32, "cut COMMITs": 1000, "power cuts": 20, "full disks": 1, "acknowledged": 5073}
    )
    assert summary(told, []) == (
        "crash: 32 of 300 kills, 1000 of 1000 cut COMMITs, 20 of 20 power cuts, 1 of 1 full disks; "
        "5073 acknowledged, 0 lost, 0 doubled"
    )
    assert summary(told, ["power"]).endswith("FAILED: power")

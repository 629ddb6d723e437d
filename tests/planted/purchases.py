"""What is held and taken is never beyond what was allowed, but for what has a case: a test of that
finds each of these faults."""

from tests.planted.faults import Fault

ROOM, TESTS = "wallet/authorisations", "tests/wallet/authorisations"
ANY = f"{TESTS}/test_properties.py::test_any_messages_leave_everything_in_agreement_500_times"

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
    "what is released counts on": Fault(
        f"{ROOM}/releasing.py",
        "return counter.recount(life, message, held, min(total, held.counted_minor))",
        "return held",
        f"{TESTS}/test_life.py::test_what_is_released_is_there_to_be_spent_again_that_day",
    ),
    "another message under the same key": Fault(
        f"{ROOM}/serving.py",
        "if own and event.fingerprint != message.fingerprint:", "if False:",
        f"{TESTS}/test_life.py::test_one_key_with_other_content_is_its_own_reason_fineract_2485",
    ),
    "what suspense stood in for is not remembered": Fault(
        f"{ROOM}/settling.py",
        "short_minor=standing.short_minor + answer.shortfall_minor",
        "short_minor=standing.short_minor", ANY,
    ),
    "what is held is not counted": Fault(
        f"{ROOM}/requests.py",
        "return taken if isinstance(taken, Declined) else counter.count(asked, taken)",
        "return taken",
        f"{TESTS}/test_races.py::test_200_authorisations_at_once_meet_a_limit_exactly",
    ),
    "a card is not locked": Fault(
        "wallet/cards/purchasing.py", "order by id for no key update", "order by id",
        "tests/wallet/cards/test_purchasing.py::TestKinds::"
        "test_a_single_use_card_raced_by_two_shops_is_paid_once",
    ),
    "a limit is written over another version": Fault(
        "wallet/limits/counting.py", "and c.version = f.version", "and c.version > 0",
        "tests/wallet/limits/test_races.py::"
        "test_a_counter_is_never_written_over_another_version_than_was_read",
    ),
}  # fmt: skip

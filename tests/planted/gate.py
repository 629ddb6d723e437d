"""Who may ask: what stands between a caller and an act, taken away piece by piece."""

from tests.planted.faults import Fault

ACCESS, TESTS = "wallet/access", "tests/wallet/access"

FAULTS = {
    "a step used before": Fault(
        f"{ACCESS}/otp.py", "if step is None or step <= self._last_step:", "if step is None:",
        f"{TESTS}/test_a_codes.py::test_a12_drift_is_tolerated_once_and_not_widened",
    ),
    "tries not paid for": Fault(
        "wallet/throttle.py", "local left = tonumber(h[4]) - 1", "local left = tonumber(h[4])",
        "tests/wallet/test_throttle.py::"
        "test_200_wrong_codes_at_once_are_compared_five_times_and_then_the_right_one_is_refused",
    ),
    "a right code not marked": Fault(
        "wallet/throttle.py", "redis.call('HSET', KEYS[1], 'st', 'C')", "local unmarked = 1",
        "tests/wallet/test_throttle.py::"
        "test_a_right_code_is_accepted_once_by_200_callers_at_once_50_times_over",
    ),
    "the maker approves": Fault(
        f"{ACCESS}/approvals.py", "if maker.id == checker.id:", "if False:",
        f"{TESTS}/test_approvals.py::test_the_maker_does_not_approve_their_own_even_with_both_roles",
    ),
    "another house approves": Fault(
        f"{ACCESS}/approvals.py",
        "(maker.kind, maker.bank, maker.agency) != (checker.kind, checker.bank, checker.agency)",
        "maker.kind != checker.kind",
        f"{TESTS}/test_approvals.py::test_an_officer_of_another_agency_finds_nothing_to_approve",
    ),
    "one's own roles": Fault(
        f"{ACCESS}/roles.py", "in (str(change.staff_id), str(change.maker)):",
        "in (str(change.maker),):",
        f"{TESTS}/test_roles.py::test_neither_the_one_who_asked_nor_the_one_concerned_approves",
    ),
    "no passkey": Fault(
        f"{ACCESS}/staff_sessions.py", "if member.needs_passkey and proofs.passkey_at is None:",
        "if False:",
        "tests/matrix/test_passkeys.py::"
        "test_nobody_approves_without_a_passkey_wherever_there_is_something_to_approve",
    ),
    "an old proof": Fault(
        f"{ACCESS}/staff_sessions.py",
        "if use is Use.WRITE and (shown_at is None or shown_at <= now - PROOF_LASTS):",
        "if use is Use.WRITE and shown_at is None:",
        "tests/api/test_staff_sessions.py::test_a_write_asks_for_a_proof_of_the_last_five_minutes",
    ),
    "an old callback": Fault(
        f"{ACCESS}/webhooks.py", "if abs(now.timestamp() - int(sent_at)) > AGE_S:", "if False:",
        "tests/api/test_callbacks.py::test_what_is_not_genuine_is_not_heard",
    ),
    "a PIN that never rests": Fault(
        f"{ACCESS}/pins.py", "if failures % FAILURES_TO_LOCK:", "if failures:",
        f"{TESTS}/test_sessions.py::"
        "test_five_wrong_pins_rest_the_pin_and_redis_cannot_make_it_forget",
    ),
    "a PIN without its pepper": Fault(
        f"{ACCESS}/pins.py", 'hmac.digest(vault.pepper("pin"), ', 'hmac.digest(b"0" * 32, ',
        f"{TESTS}/test_a_phones.py::test_a17_a_leaked_table_opens_no_pin_without_the_pepper",
    ),
    "any proxy believed": Fault(
        "api/edge.py", "if client is None or not self._trusts(client[0]):", "if client is None:",
        "tests/api/test_throttling.py::"
        "test_what_only_a_proxy_may_tell_is_gone_from_anybody_elses_request",
    ),
}  # fmt: skip

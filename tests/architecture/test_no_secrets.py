"""C9: no key, token, password or real card's number stands in the repository, nor ever stood there.

Beside ruff's S105 to S107, which look at names in code: this looks at the form of what is written,
in every file under version control and in every line that a commit added or took away.
"""

import re
from collections.abc import Iterator

import pytest

from tests.architecture.house import ROOT, committed, told_by_git
from wallet.identifiers import luhn_digit

FORMS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]",
    "a token of a service": r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|AIza[0-9A-Za-z_-]{35}"
    r"|glpat-[A-Za-z0-9_-]{20}|xox[abprs]-[A-Za-z0-9-]{10,}|[rs]k_live_[A-Za-z0-9]{16,})",
    "a callback secret": r"\bwhsec_[A-Za-z0-9+/=]{24,}",
    "a signed token": r"\beyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}\.",
    "an authenticator's secret": r"[?&]secret=[A-Z2-7]{16,}",
    "a password in an address": r"://[A-Za-z0-9._-]*:(?P<kept>[^@\s/{}$\"'`*<>:\\]{4,})@",
}
PRETENDED = {"long", "topsecret", "password", "secret"}
"""Passwords of addresses that lead nowhere, in tests."""

PUBLISHED = {"4111111111111111", "4242424242424242", "5555555555554444", "6011111111111117"}
"""Numbers that card networks publish for tests; ours begin with 9116, which is nobody's."""

NETWORKS = re.compile(r"(?:4|5[1-5]|2[2-7]|3[47]|35|62|6011|65)")
NUMBER = re.compile(r"(?<![0-9A-Za-z.])(?:[0-9][ -]?){13,18}[0-9](?![0-9A-Za-z])")


def secrets_in(text: str) -> Iterator[str]:
    for kind, form in FORMS.items():
        for found in re.finditer(form, text):
            if found.groupdict().get("kept") not in PRETENDED:
                yield kind
    for found in NUMBER.finditer(text):
        digits = re.sub("[ -]", "", found[0])
        real = NETWORKS.match(digits) and luhn_digit(digits[:-1]) == digits[-1]
        if real and digits not in PUBLISHED:
            yield "a card's number"


def test_no_file_holds_a_secret() -> None:
    found = {
        path: kinds
        for path in committed()
        if (kinds := set(secrets_in((ROOT / path).read_text("utf-8", "replace"))))
    }
    assert not found


def test_no_commit_ever_held_one() -> None:
    """What was taken out again is public all the same."""
    history = told_by_git("log", "-p", "--unified=0", "--no-color", "--format=%x00%h")
    if history is None:
        pytest.skip("history is read where there is some: in a git checkout")
    commits = history.split("\0")
    found = {text.split("\n", 1)[0]: kinds for text in commits if (kinds := set(secrets_in(text)))}
    assert len(commits) > 1
    assert not found


@pytest.mark.parametrize(
    "written",
    [
        "-----BEGIN " + "PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1" * 18,
        "whsec_" + "q83vEjRWeJA" * 4,
        "eyJ" + "hbGciOiJFUzI1NiJ9x.eyJzdWIiOiIxMjM0NTY3ODkwIn0.sig",
        "otpauth://totp/x?issuer=y&secret=" + "JBSWY3DPEHPK3PXP",
        "postgresql://smartid:" + "Xk3Jm1sV9@db.example/books",
        "card 4000 0012 3456 " + "7899",
    ],
)
def test_a_secret_is_recognised(written: str) -> None:
    assert list(secrets_in(f"x = '{written}'")), written


@pytest.mark.parametrize(
    "written",
    [
        "9116010000000018",
        "4111 1111 1111 1111",
        "postgresql://smartid:${PASSWORD}@postgres/smartid",
        "601200000001",
        "https://wallet.smartid.test:8420/v1",
    ],
)
def test_what_is_none_is_left_alone(written: str) -> None:
    assert not list(secrets_in(f"x = '{written}'")), written

"""What we stand on has no hole that is known, and every exception to the rules says why."""

import re

import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler

from tests.architecture.house import ROOMS, ROOT, files, named

AT_LEAST = {
    # CVE-2025-59152 (2.18), CVE-2026-25479 and -25480 (2.20), CVE-2026-48061 (2.22)
    "litestar": (2, 22),
    # verify_and_get_timecode raises on a mismatch; an older one answered False
    "pyotp": (2, 12),
    # CVE-2024-56201 (3.1.5), CVE-2025-27516 (3.1.6): out of the sandbox
    "jinja2": (3, 1, 6),
    # CVE-2025-43859: chunked bodies read otherwise than a proxy reads them
    "h11": (0, 16),
    # CVE-2025-47273: a path out of the build folder
    "setuptools": (78, 1, 1),
    # CVE-2024-12797 (44.0.1), CVE-2026-26007 (46.0.5), CVE-2026-34073 (46.0.6)
    "cryptography": (46, 0, 6),
}
"""The first version without the hole."""

BELOW = {"pyotp": (3,), "litestar": (3,)}

_PINNED = re.compile(r"(?im)^([a-z0-9._-]+)(?:\[[^\]]*\])?==([0-9][0-9.]*)")


def pinned(lock: str) -> dict[str, tuple[int, ...]]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {
        name.lower(): tuple(int(part) for part in version.strip(".").split("."))
        for name, version in _PINNED.findall(text)
    }


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_no_version_with_a_known_hole_is_pinned(lock: str) -> None:
    versions = pinned(lock)
    for name, least in AT_LEAST.items():
        assert versions[name] >= least, name
    for name, below in BELOW.items():
        assert versions[name] < below, name


def test_everything_is_pinned_by_hash() -> None:
    for lock in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", "")
        for line in text.splitlines():
            if line and not line.startswith(("#", " ")):
                assert "--hash=sha256:" in line, line


def test_every_exception_to_the_rules_of_security_says_why() -> None:
    silent = [
        f"{named(file)}:{number}"
        for file in files(*ROOMS, "tests")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"#\s*noqa:\s*S\d+", line)
        and not re.search(r"#\s*noqa:\s*S\d+(?:,\s*\w+)*\s+\S+", line)
    ]
    assert not silent


def test_every_struct_that_comes_from_a_caller_forbids_unknown_fields() -> None:
    """Beside the check at start: every `Body` there is, whether a route uses it yet or not."""
    import api.app
    from api.wire import Body

    for door in api.app._packages():
        assert door.router.routes

    def below(kind: type) -> list[type]:
        children: list[type] = kind.__subclasses__()
        return children + [one for child in children for one in below(child)]

    loose = [kind.__name__ for kind in below(Body) if not _strict(kind)]
    assert len(below(Body)) > 20
    assert not loose
    bodies = {
        handler.parsed_data_field.annotation
        for door in api.app._packages()
        for route in door.router.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler) and handler.parsed_data_field is not None
    }
    structs = [b for b in bodies if isinstance(b, type) and issubclass(b, msgspec.Struct)]
    assert structs
    assert all(issubclass(one, Body) for one in structs)


def _strict(kind: type) -> bool:
    info = msgspec.inspect.type_info(kind)
    return isinstance(info, msgspec.inspect.StructType) and info.forbid_unknown_fields

"""What is shipped: pinned, without secrets, hosts or paths in it, and not run as root."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.house import ROOT, told_by_git

LOCKS = ("requirements.txt", "requirements-dev.txt")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_one_version_with_hashes(lock: str) -> None:
    pinned = requirements(lock)
    assert len(pinned) > 40
    for name, entry in pinned.items():
        assert re.match(rf"{re.escape(name)}==[0-9][^ ]* ", entry), entry[:60]
        assert "--hash=sha256:" in entry, name


@pytest.mark.parametrize("lock", LOCKS)
def test_no_registry_host_and_no_path_of_a_machine_in_a_lock(lock: str) -> None:
    text = read(lock)
    assert not re.search(
        r"://|--(extra-)?index-url|--find-links|--trusted-host|file://|/(home|tmp|root|work)/",
        text,
    )


def test_developing_installs_what_running_installs() -> None:
    running, developing = requirements(LOCKS[0]), requirements(LOCKS[1])
    for name, entry in running.items():
        assert developing[name].split()[0] == entry.split()[0]


def test_versions_with_known_holes_stay_out() -> None:
    pinned = {
        name: entry.split()[0].split("==")[1] for name, entry in requirements(LOCKS[0]).items()
    }
    assert version(pinned["litestar"]) >= (2, 22)
    assert (2, 12) <= version(pinned["pyotp"]) < (3,)


def test_every_third_party_module_we_import_is_a_named_requirement() -> None:
    named = {re.split(r"[\[<>=]", line)[0] for line in read("requirements.in").splitlines()}
    by_module = {
        "argon2": "argon2-cffi",
        "fontpkg_noto_sans_khmer": "fontpkg-noto-sans-khmer",
        "http_message_signatures": "http-message-signatures",
        "http_sf": "http-sf",
        "phonenumbers": "phonenumberslite",
        "png": "pypng",
        "prometheus_client": "prometheus-client",
        "swagger_ui": "swagger-ui-py",
        "uuid_utils": "uuid-utils",
    }
    ours = ("wallet", "api", "notifications", "runtime", "simulators")
    missing = set()
    for file in (path for room in ours for path in (ROOT / room).rglob("*.py")):
        for module in re.findall(r"^(?:from|import) (\w+)", code(file), re.MULTILINE):
            if module in ours or module in stdlib():
                continue
            if by_module.get(module, module) not in named:
                missing.add((module, file.name))
    assert not missing


def test_the_image_runs_as_an_ordinary_user_and_tells_its_health() -> None:
    steps = read("Dockerfile").splitlines()
    last_stage = steps[max(i for i, line in enumerate(steps) if line.startswith("FROM")) :]
    users = [line.split()[1] for line in last_stage if line.startswith("USER")]
    assert users
    assert users[-1].split(":")[0] not in ("0", "root")
    assert any(line.startswith("HEALTHCHECK") for line in last_stage)
    assert "/health/ready" in read("Dockerfile")


def test_the_image_is_built_by_the_steps_of_make_setup() -> None:
    for text in (read("Dockerfile"), read("Makefile")):
        assert "--require-hashes" in text
        assert re.search(r"--no-deps --no-build-isolation --editable \.", text)
        assert all("requirements" in line or "--no-deps" in line
                   for line in text.splitlines() if "pip install" in line)  # fmt: skip


def test_the_image_holds_every_package_and_nothing_unnamed() -> None:
    found = tomllib.loads(read("pyproject.toml"))["tool"]["setuptools"]["packages"]["find"]
    for package in (pattern.rstrip("*") for pattern in found["include"]):
        assert f"COPY {package} ./{package}" in read("Dockerfile")
        assert f"!{package}" in read(".dockerignore").splitlines()
    assert "*" in read(".dockerignore").splitlines()


def test_compose_holds_no_secret_and_keeps_servers_safe() -> None:
    text = read("compose.yaml")
    for value in re.findall(r"^\s*\w*PASSWORD:\s+(\S+)", text, re.MULTILINE):
        assert value.startswith("${")
    assert not re.search(r"://[^/@\s]*:(?!\$\{)[^@\s]+@", text)
    assert "maxmemory-policy noeviction" in text
    assert "appendonly yes" in text
    assert "--data-checksums" in text
    assert not re.search(r"fsync=off|synchronous_commit=off|full_page_writes=off", text)
    assert text.count("read_only: true") == 3
    assert text.count("healthcheck:") == 2  # the application's own is in its image


def test_make_help_tells_ten_commands_at_most() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make here")
    told = subprocess.run(
        [make, "--no-print-directory", "help"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},  # this may itself run under make
        capture_output=True,
        text=True,
        check=True,
    )
    lines = told.stdout.strip().splitlines()
    assert 5 <= len(lines) <= 10
    assert {line.split()[1] for line in lines} >= {
        "setup",
        "demo",
        "serve",
        "test",
        "check",
        "prove",
    }


def test_git_ignores_what_running_makes() -> None:
    made = [".venv/x", ".smartid/x", ".env", "smartid_wallet.egg-info/x", "wallet/__pycache__/x"]
    told = told_by_git("check-ignore", *made)
    if told is None:
        pytest.skip("only git ignores: not a git checkout")
    assert told.split() == made


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def requirements(lock: str) -> dict[str, str]:
    """Name -> the whole entry of a lock file, its lines joined."""
    joined = re.sub(r"\s*\\\n\s*", " ", read(lock))
    entries = [line for line in joined.splitlines() if line and not line.lstrip().startswith("#")]
    return {entry.split("==")[0]: entry for entry in entries}


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


def code(file: Path) -> str:
    """The file without docstrings and SQL, which may begin a line with `from`."""
    return re.sub(r'""".*?"""', "", file.read_text(encoding="utf-8"), flags=re.DOTALL)


def stdlib() -> frozenset[str]:
    return sys.stdlib_module_names

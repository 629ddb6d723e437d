"""KHQR payments over HTTP: two requests each, 64 connections, against two baselines.

The same server is asked three things in turn: payments with the teller's groups, payments with
the teller committing one by one, and an empty handler. Requests of a payment are both counted.
"""

import asyncio
import hashlib
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.ground import books_right, ground
from benchmarks.http_client import Counted, Load, Payer, run_load
from runtime.children import free_port
from runtime.settings import Settings
from tests.world import people
from wallet import khqr
from wallet.database import Database
from wallet.identifiers import BankId, new_id
from wallet.work import SYSTEM, Work

CONNECTIONS: Final = 64
BANK: Final = BankId("ACLEDA")


async def main(seconds: float = 8.0, rounds: int = 3) -> None:
    """Print payments a second, the two ratios, and request times."""
    async with ground() as base:
        payers = await payers_of(base)
        figures: dict[str, list[Counted]] = {"groups": [], "one_by_one": [], "empty": []}
        for _ in range(rounds):
            for teller in ("groups", "one_by_one"):
                with api(base, teller) as port:
                    load = Load(port, seconds, payers, code_to_pay())
                    warm = Load(port, 1.0, payers, load.code)
                    await asyncio.to_thread(run_load, warm, "payments")
                    figures[teller].append(await asyncio.to_thread(run_load, load, "payments"))
                    if teller == "groups":
                        figures["empty"].append(await asyncio.to_thread(run_load, load, "empty"))
        _print(figures)
        await books_right(base)


def _print(figures: dict[str, list[Counted]]) -> None:
    rates = {
        name: statistics.median(one.done / one.elapsed for one in counted)
        for name, counted in figures.items()
    }
    for name, counted in figures.items():
        times = sorted(value for one in counted for value in one.request_s)
        spread = [one.done / one.elapsed for one in counted]
        print(
            f"http, {name}: {rates[name]:,.0f}/s ({min(spread):,.0f}-{max(spread):,.0f}), "
            f"a request p50 {times[len(times) // 2] * 1000:.1f} ms, "
            f"p99 {times[len(times) * 99 // 100] * 1000:.1f} ms",
            flush=True,
        )
    requests = rates["groups"] * 2
    print(
        f"http, payments in groups: {rates['groups'] / rates['one_by_one']:.1f}x one by one; "
        f"{requests:,.0f} requests/s = {requests / rates['empty']:.0%} of the empty handler's"
    )


@contextmanager
def api(base: SimpleNamespace, teller: str, *, step_up_file: Path | None = None) -> Iterator[int]:
    """An API process as `smartid serve --role api` runs it."""
    port = free_port()
    settings = Settings(
        data=base.folder / "api",
        key_file=base.folder / "master.key",
        database_url=base.servers.database_url,
        redis_url=base.servers.redis_url,
        rates="write.person=60000000/60000000",  # asked all the same, and never empty
        port=port,
        teller=teller,
        step_up_file=step_up_file,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime", "serve", "--role", "api"],
        env=settings.environment_for_children(),
    )
    try:
        _await_ready(settings.base_url)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def _await_ready(url: str) -> None:
    for _ in range(200):
        try:
            with urlopen(f"{url}/health/ready", timeout=1) as answer:  # noqa: S310 - loopback
                if answer.status == 200:
                    return
        except (URLError, OSError):
            pass
        time.sleep(0.1)
    raise SystemExit("the API did not become ready")


async def payers_of(base: SimpleNamespace, number: int = CONNECTIONS) -> list[Payer]:
    """Holders with money, a phone and a session, as if paired and signed in."""
    holders = await people(base.works, number, bank=BANK, khr=50_000_000)
    made, rows = [], []
    for holder in holders:
        key = ec.generate_private_key(ec.SECP256R1())
        token = secrets.token_urlsafe(32)
        made.append(Payer(token, key.private_numbers().private_value))
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        rows.append((new_id(), holder.id, point, hashlib.sha256(token.encode()).digest()))

    async def pair(work: Work) -> None:
        for device_id, holder_id, point, token_hash in rows:
            await work.execute(_DEVICE, device_id, BANK, holder_id, point, work.now)
            await work.execute(
                _SESSION,
                token_hash,
                BANK,
                holder_id,
                device_id,
                work.now,
                work.now + timedelta(minutes=30),
            )

    await base.works.perform(SYSTEM, BANK, pair)
    await _tell_the_planner(base)
    return made


async def _tell_the_planner(base: SimpleNamespace) -> None:
    """The statistics a server that has run for a minute has gathered by itself."""
    database = await Database.connect(base.servers.database_url, role=None)
    await database.run("analyze")
    await database.close()


def code_to_pay() -> str:
    draft = khqr.Draft(
        form=khqr.Form.INDIVIDUAL, account="somnang@aclb", name="Somnang Coffee", city="Phnom Penh"
    )
    written = khqr.write(draft, now_ms=int(time.time() * 1000))
    if isinstance(written, khqr.SdkError):
        raise SystemExit(f"the code cannot be written: {written.name}")
    return written


def signed_example(digest: bytes) -> tuple[bytes, bytes]:
    """A key's public point, and its signature over what has this SHA-256 digest."""
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
    return point, r.to_bytes(32, "big") + s.to_bytes(32, "big")


_DEVICE = """
insert into devices (id, bank, holder_id, public_key, state, channel, paired_at)
values ($1, $2, $3, $4, 'ACTIVE', 'atm', $5)
"""
_SESSION = """
insert into sessions (token_hash, bank, holder_id, device_id, created_at, last_seen_at, expires_at)
values ($1, $2, $3, $4, $5, $5, $6)
"""

if __name__ == "__main__":
    asyncio.run(main())

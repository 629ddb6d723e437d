"""Payments that need a signature and a code bound to the act, over HTTP; and what each step costs.

Every code is asked for at the door, made and gated by the server as ever, and read from where its
message would be written from (no SMS is sent); since a holder gets three in ten minutes, there are
many holders, each paying once a round, over 64 connections. What is timed as a payment is its two
requests, intent and authorise; asking for the codes is timed apart. The policy table of this server
asks for a code at every payment.
"""

import asyncio
import hashlib
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Final

from benchmarks import payments
from benchmarks.ground import ground
from benchmarks.http_client import Payer, Signed, Step, run_step
from wallet.access import challenges, otp, signing
from wallet.access.sessions import Recognition, token_hash
from wallet.ledger.proof import CHECKS, prove
from wallet.throttle import Throttle, connect
from wallet.vault import Vault
from wallet.vault.keystore import SoftwareKeyStore
from wallet.work import SYSTEM, Work

CONNECTIONS: Final = 64
STEP_UP: Final = """
cooling_off = { KHR = 400000, USD = 10000 }
[acts."qr.pay"]
code = true
"""
ROUNDS_AT_MOST: Final = 3
"""So many codes a holder may have in ten minutes."""


async def main(holders: int = 1_920, rounds: int = 3) -> None:
    """Print payments a second, request times, codes a second, and the share of each step."""
    async with ground() as base:
        table = base.folder / "step_up.toml"
        table.write_text(STEP_UP, "utf-8")
        payers = await payments.payers_of(base, holders)
        done = []
        with payments.api(base, "groups", step_up_file=table) as port:
            for _ in range(min(rounds, ROUNDS_AT_MOST)):
                done.append(await _round(base, port, payers))
            await _print_steps(base, payers)
        _print(done, holders)
        for finding in await prove(base.works, CHECKS):
            if not finding.right:
                raise SystemExit(f"books wrong: {finding.check}: {finding.difference}")
        print("books right after the run")


async def _round(base: SimpleNamespace, port: int, payers: list[Payer]) -> list[Step]:
    """Every holder pays once: intents, then their codes, then what authorises them."""
    code = payments.code_to_pay()
    prepared = await _timed(port, "prepare", [Signed(payer=one, qr=code) for one in payers])
    asked = await _timed(port, "ask", prepared.left)
    codes = await _codes(base)
    with_codes = [
        Signed(payer=one.payer, intent=one.intent, canonical=one.canonical, otp=codes[one.intent])
        for one in asked.left
    ]
    return [prepared, asked, await _timed(port, "authorise", with_codes)]


async def _timed(port: int, kind: str, work: list[Signed]) -> Step:
    return await asyncio.to_thread(run_step, port, kind, work, CONNECTIONS)


async def _codes(base: SimpleNamespace) -> dict[str, str]:
    """The code of every intent that waits for one, as its message would carry it."""
    vault = Vault(SoftwareKeyStore.open_or_create(base.folder / "master.key"))

    async def read(work: Work) -> dict[str, str]:
        rows = await work.rows(
            "select id, intent_id, tx_hash, key_sealed from otp_challenges where state = 'OPEN'"
        )
        unsealer = await vault.unsealer(work, [row["key_sealed"] for row in rows])
        found = {}
        for row in rows:
            place = "otp_challenges", "key_sealed", row["id"]
            key = unsealer.unseal(row["key_sealed"], *place)
            found[str(row["intent_id"])] = challenges.code_over(key.reveal(), row["tx_hash"])
        return found

    codes: dict[str, str] = await base.works.read(SYSTEM, payments.BANK, read)
    return codes


def _print(done: Sequence[Sequence[Step]], holders: int) -> None:
    rates = [holders / (prepare.elapsed + authorise.elapsed) for prepare, _, authorise in done]
    asking = statistics.median(holders / ask.elapsed for _, ask, _ in done)
    print(
        f"signature and code: {statistics.median(rates):,.0f} payments/s"
        f" ({min(rates):,.0f}-{max(rates):,.0f}), {CONNECTIONS} connections; "
        f"codes asked for: {asking:,.0f}/s"
    )
    for place, name in enumerate(("intent", "code asked for", "authorise")):
        times = sorted(value for one in done for value in one[place].request_s)
        print(
            f"  {name}: p50 {times[len(times) // 2] * 1000:.1f} ms,"
            f" p99 {times[len(times) * 99 // 100] * 1000:.1f} ms"
        )


async def _print_steps(base: SimpleNamespace, payers: Sequence[Payer]) -> None:
    """What each step of one payment costs by itself, 64 at once, in this process."""
    redis = connect(base.servers.redis_url, timeout_s=10)
    throttle = Throttle(redis, answer_timeout_s=10)
    recognition = Recognition(base.works)
    key = hashlib.sha256(b"a key").digest()
    digest = hashlib.sha256(b"an act").digest()
    public, signature = payments.signed_example(digest)

    async def session(place: int) -> None:
        await recognition.of(payers[place % len(payers)].token)

    async def gate(place: int) -> None:
        name = f"step-{place}"
        await throttle.issue_challenge(name, digest, digest, "device", 60_000, 5)
        await throttle.verify_challenge(name, digest, digest, "device", "request")

    async def signed(_: int) -> None:
        assert signing.signed_by(public, signature, digest)

    async def coded(_: int) -> None:
        assert otp.well_formed(challenges.code_over(key, digest))

    async def committed(place: int) -> None:
        hashed = token_hash(payers[place % len(payers)].token)
        sql = "update sessions set last_seen_at = last_seen_at where token_hash = $1"
        await base.works.perform(SYSTEM, payments.BANK, lambda work: work.execute(sql, hashed))

    steps: dict[str, tuple[Callable[[int], Awaitable[None]], float]] = {
        "session (both requests)": (session, 2),
        "throttle (challenge tried; made as well)": (gate, 1),
        "signature": (signed, 1),
        "code": (coded, 1),
        "commit (both, alone; groups share them)": (committed, 2),
    }
    costs = {name: await _cost(step) * times for name, (step, times) in steps.items()}
    whole = sum(costs.values())
    print("steps, each by itself and not in groups: microseconds, share of their sum")
    for name, cost in costs.items():
        print(f"  {name:42} {cost * 1e6:8,.0f} {cost / whole:6.0%}")
    await redis.aclose()


async def _cost(step: Callable[[int], Awaitable[None]], number: int = 1_920) -> float:
    await asyncio.gather(*(step(-place - 1) for place in range(CONNECTIONS)))
    began = time.perf_counter()
    for start in range(0, number, CONNECTIONS):
        await asyncio.gather(*(step(start + place) for place in range(CONNECTIONS)))
    return (time.perf_counter() - began) / number


if __name__ == "__main__":
    asyncio.run(main())

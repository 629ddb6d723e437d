"""The Redis of compose.yaml: its settings as written there, and what the wallet's user may do."""

import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from notifications.live import CHANNEL
from runtime.redis_safety import refuse_unsafe_redis
from tests.wallet.test_throttle import RIGHT, TX, Server
from wallet.throttle import Admitted, Throttle, Verdict, connect

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "Mekong1234"


def settings_of_compose(data: Path) -> str:
    """What the shell of compose.yaml pipes to Redis."""
    found = re.search(
        r">-\n(\s+printf .*?)\| exec redis-server -", (ROOT / "compose.yaml").read_text(), re.DOTALL
    )
    assert found is not None
    script = " ".join(found.group(1).split()).replace("$$", "$")
    told = subprocess.run(
        ["sh", "-c", script],
        env={"PATH": os.environ["PATH"], "REDIS_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "dir /data\n" in told
    return told.replace("dir /data\n", f'dir "{data}"\n')


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    settings = tmp_path / "redis.conf"
    settings.write_text(settings_of_compose(tmp_path))
    server = Server(tmp_path, str(settings))
    client = connect(server.url.replace("://", f"://wallet:{PASSWORD}@"), timeout_s=10)
    yield client
    await client.aclose()
    server.stop()


async def test_the_wallets_user_may_do_all_that_the_wallet_does(redis: Redis) -> None:
    await refuse_unsafe_redis(redis, must_append=True)
    throttle = Throttle(redis, answer_timeout_s=10)
    assert await throttle.alive()
    assert await throttle.admit("bucket", 60, 1) == Admitted()
    assert await throttle.spend_nonce("nonce", 60)
    assert not await throttle.spend_nonce("nonce", 60)
    nonce = await throttle.issue_login_nonce("device")
    assert await throttle.take_login_nonce("device", nonce)
    assert await throttle.issue_challenge("c", RIGHT, TX, "device", 60_000, 5, tag="holder")
    tried = await throttle.verify_challenge("c", RIGHT, TX, "device", "request", tag="holder")
    assert tried.verdict is Verdict.OK
    assert await throttle.count_failures(3) == 3
    async with redis.pubsub() as told:
        await told.subscribe(CHANNEL)
        await told.get_message(timeout=5)
        await redis.publish(CHANNEL, b"wake")
        message = await told.get_message(timeout=5)
        assert message is not None
        assert message["data"] == b"wake"


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL", "FLUSHDB", "MONITOR", "KEYS *", "SCAN 0", "CONFIG GET *",
        "CONFIG SET maxmemory 1", "DEBUG SLEEP 0", "SLOWLOG GET",
        "SHUTDOWN", "ACL LIST", "REPLICAOF NO ONE", "SCRIPT FLUSH",
        "GET another:key", "PUBLISH another:channel x", "CLIENT LIST",
    ],
)  # fmt: skip
async def test_it_may_neither_flush_nor_watch_nor_touch_what_is_not_the_wallets(
    redis: Redis, command: str
) -> None:
    with pytest.raises(NoPermissionError):
        await redis.execute_command(*command.split())


async def test_nobody_else_enters(redis: Redis) -> None:
    port = redis.connection_pool.connection_kwargs["port"]
    for who in ("", "default:@", f"default:{PASSWORD}@", "wallet:wrong@"):
        stranger = connect(f"redis://{who}127.0.0.1:{port}/0", timeout_s=10)
        with pytest.raises(AuthenticationError):
            await stranger.ping()
        await stranger.aclose()

"""Settings: everything has a default, and a wrong one is named."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from runtime import settings
from runtime.embedded import Embedded
from runtime.redis_safety import UnsafeRedisError, refuse_unsafe_redis
from runtime.settings import Environment, SettingsError

PRODUCTION = {
    "SMARTID_ENV": "production",
    "DATABASE_URL": "postgresql://db/smartid?sslmode=verify-full",
    "REDIS_URL": "rediss://wallet:long@cache/0",
}


def test_nothing_set_is_a_demo_on_loopback_with_servers_of_its_own() -> None:
    read = settings.read(environ={})
    assert read.environment is Environment.DEMO
    assert read.needs_own_servers
    assert (read.host, read.port, read.claim_ttl_s) == ("127.0.0.1", 8420, 600)
    assert read.data == Path(".smartid").absolute()
    assert read.key_file == read.data / "master.key"


def test_the_command_line_goes_before_the_environment(tmp_path: Path) -> None:
    assert settings.read(tmp_path / "b", {"SMARTID_DATA": str(tmp_path / "a")}).data.name == "b"
    assert settings.read(None, {"SMARTID_DATA": str(tmp_path / "a")}).data.name == "a"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMARTID_PORT", "eighty"),
        ("SMARTID_PORT", "70000"),
        ("SMARTID_PORT", "٨٤٢٠"),
        ("SMARTID_API_WORKERS", "0"),
        ("SMARTID_CLAIM_TTL_S", "-1"),
        ("SMARTID_ENV", "prod"),
        ("DATABASE_URL", "mysql://somewhere"),
        ("REDIS_URL", "somewhere:6379"),
        ("SMARTID_OPERATOR_URL", "ftp://operator"),
        ("SMARTID_TOKEN_URL", "tokens:80"),
        ("SMARTID_CARD_IINS", "ACLEDA"),
        ("SMARTID_CARD_IINS", "ACLEDA=9116011"),
        ("SMARTID_CARD_IINS", "ACLEDA=411111"),
        ("SMARTID_CARD_IINS", "OTHER=911601"),
        ("SMARTID_CARD_IINS", "ACLEDA=911601,ACLEDA=911602"),
        ("SMARTID_KEEP_DAYS", "intents=179"),
        ("SMARTID_KEEP_DAYS", "transfers=400"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings.read(environ={name: value})


def test_the_iins_of_virtual_cards_are_read_and_handed_to_children() -> None:
    read = settings.read(environ={"SMARTID_CARD_IINS": "ACLEDA=911601, WING=91160377"})
    assert read.card_iins == {"ACLEDA": "911601", "WING": "91160377"}
    handed = read.environment_for_children()
    assert settings.read(environ=handed).card_iins == read.card_iins


def test_periods_are_read_and_handed_to_children() -> None:
    read = settings.read(environ={"SMARTID_KEEP_DAYS": "intents=500"})
    assert settings.read(environ=read.environment_for_children()).keep_days == "intents=500"


def test_a_refused_url_is_not_repeated_because_it_may_hold_a_password() -> None:
    with pytest.raises(SettingsError) as refused:
        settings.read(environ={"DATABASE_URL": "mysql://me:topsecret@db"})
    assert "topsecret" not in str(refused.value)


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_production_needs_servers_by_url(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings.read(environ={k: v for k, v in PRODUCTION.items() if k != name})


def test_production_refuses_a_software_key_store_without_the_flag() -> None:
    with pytest.raises(SettingsError, match="SMARTID_ALLOW_SOFTWARE_KEYS"):
        settings.read(environ=PRODUCTION)
    allowed = settings.read(environ={**PRODUCTION, "SMARTID_ALLOW_SOFTWARE_KEYS": "1"})
    assert allowed.environment is Environment.PRODUCTION


@pytest.mark.parametrize("name", ["TOKEN", "OPERATOR", "OPERATOR_CALLBACK", "SMS", "PUSH"])
def test_production_dials_nobody_in_clear(name: str) -> None:
    allowed = {**PRODUCTION, "SMARTID_ALLOW_SOFTWARE_KEYS": "1"}
    variable = f"SMARTID_{name}_URL"
    settings.read(environ={**allowed, variable: "https://example.test/x"})
    with pytest.raises(SettingsError, match=f"{variable} must begin with https"):
        settings.read(environ={**allowed, variable: "http://example.test/x"})


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql://db/smartid"),
        ("DATABASE_URL", "postgresql://db/smartid?sslmode=prefer"),
        ("DATABASE_URL", "postgresql:///smartid?host=/run/postgresql,db"),
        ("REDIS_URL", "redis://wallet:long@cache/0"),
        ("REDIS_URL", "rediss://cache/0"),
        ("REDIS_URL", "rediss://:long@cache/0"),
        ("REDIS_URL", "rediss://default:long@cache/0"),
    ],
)
def test_production_reaches_its_servers_by_tls_and_redis_as_a_user_of_its_own(
    name: str, url: str
) -> None:
    allowed = {**PRODUCTION, "SMARTID_ALLOW_SOFTWARE_KEYS": "1", name: url}
    with pytest.raises(SettingsError, match=name) as refused:
        settings.read(environ=allowed)
    assert "long" not in str(refused.value), "a refused URL is not repeated"
    settings.read(environ={**allowed, "SMARTID_ALLOW_PLAIN_SERVERS": "1"})
    sockets = {"DATABASE_URL": "postgresql:///smartid?host=/run/postgresql"}
    settings.read(environ={**PRODUCTION, "SMARTID_ALLOW_SOFTWARE_KEYS": "1", **sockets})


def test_who_gives_commands_has_a_name() -> None:
    for given, named in (
        ({"SMARTID_OPERATOR": "sok.dara", "SUDO_USER": "x"}, "sok.dara"),
        ({"SUDO_USER": "dara", "USER": "root"}, "dara"),
        ({"USER": "bop ha\n"}, "bop_ha"),
    ):
        assert settings.read(environ=given).operator == named
    assert settings.read(environ={}).operator.startswith("uid-")


def test_a_child_reads_back_the_same_settings(tmp_path: Path) -> None:
    mine = settings.read(tmp_path, {"SMARTID_PORT": "9000", "SMARTID_API_WORKERS": "3"})
    mine = mine.with_servers("postgresql://a/b", "redis://c/0")
    assert settings.read(environ=mine.environment_for_children()) == mine


async def test_our_own_redis_is_safe_and_an_evicting_one_is_refused(tmp_path: Path) -> None:
    with Embedded.open(tmp_path / "data") as servers:
        redis = Redis.from_url(servers.redis_url)
        await refuse_unsafe_redis(redis, must_append=True)
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(UnsafeRedisError, match="set it to noeviction"):
            await refuse_unsafe_redis(redis, must_append=False)
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("appendonly", "no")
        with pytest.raises(UnsafeRedisError, match="appendonly"):
            await refuse_unsafe_redis(redis, must_append=True)
        await redis.aclose()


def test_a_policy_table_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    table = tmp_path / "step_up.toml"
    variables = {"SMARTID_STEP_UP": str(table)}
    with pytest.raises(SettingsError, match="SMARTID_STEP_UP"):
        settings.read(tmp_path, variables)
    table.write_text("cooling_off = { KHR = 1, USD = 1 }\nacts = { 'qr.pay' = { abvoe = 1 } }\n")
    with pytest.raises(SettingsError, match="abvoe"):
        settings.read(tmp_path, variables)
    table.write_text("cooling_off = { KHR = 1, USD = 1 }\nacts = { 'qr.pay' = { code = true } }\n")
    assert settings.read(tmp_path, variables).step_up.of("qr.pay").always

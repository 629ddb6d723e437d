"""What an operator may set, and the only place that reads the environment.

Promise: every setting has a default that makes a demo run with nothing set; a wrong value is
refused at start with the name of its variable and what would be right. Called by runtime.cli,
runtime.asgi and runtime.worker; everything below gets its figures handed in.

    SMARTID_DATA                 folder of data and keys (.smartid)
    SMARTID_ENV                  demo | test | production (demo)
    DATABASE_URL                 postgresql://... (none: a PostgreSQL of our own in the data folder)
    REDIS_URL                    redis://... or rediss://... (none: a Redis of our own, likewise)
    SMARTID_HOST, SMARTID_PORT   where the API listens (127.0.0.1, 8420)
    SMARTID_API_WORKERS          API processes (1)
    SMARTID_PUBLIC_HOST          the host that phones and ATM hosts sign for (wallet.smartid.test)
    SMARTID_TRUSTED_PROXIES      networks whose word on a caller's address and client certificate is
                                 taken, as 10.0.0.0/8,fd00::/8 (none)
    SMARTID_CLIENT_CERTIFICATES  listed | required: of machines, by the edge (listed; production:
                                 required)
    SMARTID_RATES                other rates than api.throttling's, as write.person=60/120,...
    SMARTID_SLOW_AFTER_S         a request must have come whole within so many seconds (10)
    SMARTID_CLAIM_TTL_S          life of a card claim from an ATM, seconds (600)
    SMARTID_CARD_IINS            what virtual card numbers begin with, 6 or 8 digits each, such as
                                 ACLEDA=91160110,WING=911603 (none: the bank's range and "10")
    SMARTID_ATM_OTHER_BANKS      declined | served: other banks' Smart IDs at an ATM (declined)
    SMARTID_TOKEN_URL            the wallets' token service (none: cards go into no phone's wallet)
    SMARTID_OPERATOR_URL         the phone operators' aggregator (none: top-ups are not offered)
    SMARTID_OPERATOR_CALLBACK_URL
                                 our /v1/callbacks/operators as it sees it (none: it is looked up)
    SMARTID_TOPUP_GRACE_S        how long a sent top-up may stay unknown to it, seconds (60)
    SMARTID_SMS_URL              the SMS gateway (none: no SMS is sent)
    SMARTID_PUSH_URL             the push gateway (none: codes go by SMS alone)
    SMARTID_SIMULATION           on | off: the door of an imagined card network, /v1/sim, and a
                                 clock that can be advanced (off; refused in production)
    SMARTID_TELLER               groups | one_by_one: commit every act alone, for measuring (groups)
    SMARTID_KEY_STORE            file | pkcs11: where the vault's wrapping keys are (file)
    SMARTID_KEY_FILE             file: the vault's master key (<data>/master.key)
    SMARTID_ALLOW_SOFTWARE_KEYS  1: production may keep that key in a file
    SMARTID_ALLOW_PLAIN_SERVERS  1: production may reach PostgreSQL and Redis without TLS, and Redis
                                 as its default user: the network between is nobody else's
    SMARTID_OPERATOR             who gives commands, as the audit names them (the system's login)
    SMARTID_PKCS11_MODULE        pkcs11: the vendor's library
    SMARTID_PKCS11_TOKEN         pkcs11: the token's label
    SMARTID_PKCS11_PIN_FILE      pkcs11: a file with the token's PIN that only its owner may read
    SMARTID_STEP_UP              table of what needs a one-time password, TOML (the one shipped:
                                 wallet/access/step_up.toml)
    SMARTID_KEEP_DAYS            other periods than wallet.retention's rules and none below their
                                 least, as intents=500,idempotency=45 (none)
    SMARTID_SEAL_KEY             number of the key that signs seals; raise it to rotate (1)
"""

import enum
import os
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from api.throttling import read_rates
from wallet.access import policy
from wallet.access.policy import StepUp
from wallet.registry.banks import PROGRAMME

_BANKS: Final = tuple(bank.id for bank in PROGRAMME)
_MOST_WORKERS: Final = 64


class SettingsError(Exception):
    """A setting is missing or wrong; the text names the variable and what would be right."""


class Environment(enum.Enum):
    DEMO = "demo"
    TEST = "test"
    PRODUCTION = "production"


class Settings(Struct, frozen=True, kw_only=True):
    """See the module's table. URLs that are None mean: servers of our own in `data`."""

    data: Path
    environment: Environment = Environment.DEMO
    database_url: str | None = None
    redis_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8420
    api_workers: int = 1
    public_host: str = "wallet.smartid.test"
    trusted_proxies: tuple[str, ...] = ()
    client_certificates: str = "listed"
    rates: str = ""
    slow_after_s: int = 10
    claim_ttl_s: int = 600
    card_iins: Mapping[str, str] = {}
    atm_other_banks: str = "declined"
    token_url: str | None = None
    operator_url: str | None = None
    operator_callback_url: str | None = None
    topup_grace_s: int = 60
    sms_url: str | None = None
    push_url: str | None = None
    teller: str = "groups"
    key_store: str = "file"
    key_file: Path
    pkcs11_module: str | None = None
    pkcs11_token: str | None = None
    pkcs11_pin_file: Path | None = None
    step_up_file: Path | None = None
    keep_days: str = ""
    seal_key: int = 1
    operator: str = "system"
    simulation: bool = False

    @property
    def step_up(self) -> StepUp:
        """The policy table that is in force. Refuses: SettingsError."""
        if self.step_up_file is None:
            return policy.shipped()
        try:
            return policy.read(self.step_up_file.read_text("utf-8"))
        except (OSError, UnicodeError, policy.PolicyError) as wrong:
            raise SettingsError(f"SMARTID_STEP_UP cannot be used: {wrong}") from None

    @property
    def needs_own_servers(self) -> bool:
        """Whether one of the two servers has no URL."""
        return self.database_url is None or self.redis_url is None

    def outbound(self) -> dict[str, str | None]:
        """Whom we dial, and whom we ask to dial us, by variable."""
        return {
            "SMARTID_TOKEN_URL": self.token_url,
            "SMARTID_OPERATOR_URL": self.operator_url,
            "SMARTID_OPERATOR_CALLBACK_URL": self.operator_callback_url,
            "SMARTID_SMS_URL": self.sms_url,
            "SMARTID_PUSH_URL": self.push_url,
        }

    @property
    def base_url(self) -> str:
        """Where this machine reaches the API."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 read only
        return f"http://{host}:{self.port}"

    def with_servers(self, database_url: str, redis_url: str) -> "Settings":
        """These, with the servers of our own for those that had no URL."""
        return replace(
            self,
            database_url=self.database_url or database_url,
            redis_url=self.redis_url or redis_url,
        )

    def environment_for_children(self) -> dict[str, str]:
        """What a process that we start reads back as the very same settings."""
        return {**os.environ, **self._as_variables()}

    def export(self) -> None:
        """Let processes that a library starts for us (Granian's workers) read the same settings."""
        os.environ.update(self._as_variables())

    def _as_variables(self) -> dict[str, str]:
        told: dict[str, object | None] = {
            "SMARTID_DATA": self.data,
            "SMARTID_ENV": self.environment.value,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "SMARTID_HOST": self.host,
            "SMARTID_PORT": self.port,
            "SMARTID_API_WORKERS": self.api_workers,
            "SMARTID_PUBLIC_HOST": self.public_host,
            "SMARTID_TRUSTED_PROXIES": ",".join(self.trusted_proxies),
            "SMARTID_CLIENT_CERTIFICATES": self.client_certificates,
            "SMARTID_RATES": self.rates,
            "SMARTID_SLOW_AFTER_S": self.slow_after_s,
            "SMARTID_CLAIM_TTL_S": self.claim_ttl_s,
            "SMARTID_CARD_IINS": ",".join(f"{b}={iin}" for b, iin in self.card_iins.items())
            or None,
            "SMARTID_ATM_OTHER_BANKS": self.atm_other_banks,
            "SMARTID_TOKEN_URL": self.token_url,
            "SMARTID_OPERATOR_URL": self.operator_url,
            "SMARTID_OPERATOR_CALLBACK_URL": self.operator_callback_url,
            "SMARTID_TOPUP_GRACE_S": self.topup_grace_s,
            "SMARTID_SMS_URL": self.sms_url,
            "SMARTID_PUSH_URL": self.push_url,
            "SMARTID_TELLER": self.teller,
            "SMARTID_KEY_STORE": self.key_store,
            "SMARTID_KEY_FILE": self.key_file,
            "SMARTID_PKCS11_MODULE": self.pkcs11_module,
            "SMARTID_PKCS11_TOKEN": self.pkcs11_token,
            "SMARTID_PKCS11_PIN_FILE": self.pkcs11_pin_file,
            "SMARTID_STEP_UP": self.step_up_file,
            "SMARTID_KEEP_DAYS": self.keep_days,
            "SMARTID_SEAL_KEY": self.seal_key,
            "SMARTID_OPERATOR": self.operator,
            "SMARTID_SIMULATION": "on" if self.simulation else "off",
        }
        return {name: str(value) for name, value in told.items() if value is not None}


def read(data: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; `data` (from the command line) goes before SMARTID_DATA.

    Refuses: SettingsError naming the variable.
    """
    given = _Given(os.environ if environ is None else environ)
    folder = (data or Path(given.text("SMARTID_DATA") or ".smartid")).expanduser().absolute()
    key_file, step_up = given.text("SMARTID_KEY_FILE"), given.text("SMARTID_STEP_UP")
    pin_file = given.text("SMARTID_PKCS11_PIN_FILE")
    environment = given.environment("SMARTID_ENV")
    strict = environment is Environment.PRODUCTION
    settings = Settings(
        data=folder,
        environment=environment,
        database_url=given.url("DATABASE_URL", ("postgresql", "postgres")),
        redis_url=given.url("REDIS_URL", ("redis", "rediss", "unix")),
        host=given.text("SMARTID_HOST") or "127.0.0.1",
        port=given.number("SMARTID_PORT", 8420, 1, 65535),
        api_workers=given.number("SMARTID_API_WORKERS", 1, 1, _MOST_WORKERS),
        public_host=given.text("SMARTID_PUBLIC_HOST") or "wallet.smartid.test",
        trusted_proxies=given.networks("SMARTID_TRUSTED_PROXIES"),
        client_certificates=given.choice(
            "SMARTID_CLIENT_CERTIFICATES",
            ("required", "listed") if strict else ("listed", "required"),
        ),
        rates=given.read_by("SMARTID_RATES", read_rates),
        slow_after_s=given.number("SMARTID_SLOW_AFTER_S", 10, 1, 60),
        claim_ttl_s=given.number("SMARTID_CLAIM_TTL_S", 600, 30, 86_400),
        card_iins=given.iins("SMARTID_CARD_IINS"),
        atm_other_banks=given.choice("SMARTID_ATM_OTHER_BANKS", ("declined", "served")),
        token_url=given.url("SMARTID_TOKEN_URL", ("http", "https")),
        operator_url=given.url("SMARTID_OPERATOR_URL", ("http", "https")),
        operator_callback_url=given.url("SMARTID_OPERATOR_CALLBACK_URL", ("http", "https")),
        # At least the sender's own 10 s and the adapter's time-out together.
        topup_grace_s=given.number("SMARTID_TOPUP_GRACE_S", 60, 20, 3_600),
        sms_url=given.url("SMARTID_SMS_URL", ("http", "https")),
        push_url=given.url("SMARTID_PUSH_URL", ("http", "https")),
        teller=given.choice("SMARTID_TELLER", ("groups", "one_by_one")),
        key_store=given.choice("SMARTID_KEY_STORE", ("file", "pkcs11")),
        key_file=Path(key_file).absolute() if key_file else folder / "master.key",
        pkcs11_module=given.text("SMARTID_PKCS11_MODULE"),
        pkcs11_token=given.text("SMARTID_PKCS11_TOKEN"),
        pkcs11_pin_file=Path(pin_file).absolute() if pin_file else None,
        step_up_file=Path(step_up).absolute() if step_up else None,
        keep_days=given.read_by("SMARTID_KEEP_DAYS", _read_periods),
        seal_key=given.number("SMARTID_SEAL_KEY", 1, 1, 999),
        operator=given.operator(),
        simulation=given.choice("SMARTID_SIMULATION", ("off", "on")) == "on",
    )
    return _checked(settings, given)


def _checked(settings: Settings, given: "_Given") -> Settings:
    _refuse_half_a_token(settings)
    _refuse_unfit_production(settings, given)
    _ = settings.step_up  # a table that cannot be used stops the start, not the first payment
    return settings


class _Given:
    """The environment, read with the variable's name in every complaint."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def number(self, name: str, default: int, least: int, most: int) -> int:
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise SettingsError(
                f"{name} must be a whole number from {least} to {most}, not {text!r}"
            )
        return int(text)

    def url(self, name: str, schemes: tuple[str, ...]) -> str | None:
        text = self.text(name)
        if text is None:
            return None
        # The value itself is not repeated: it may hold a password.
        if urlsplit(text).scheme not in schemes:
            raise SettingsError(f"{name} must begin with one of {', '.join(schemes)} and ://")
        return text.replace("postgres://", "postgresql://", 1)

    def networks(self, name: str) -> tuple[str, ...]:
        parts = [part.strip() for part in (self.text(name) or "").split(",") if part.strip()]
        try:
            return tuple(str(ip_network(part)) for part in parts)
        except ValueError as error:
            raise SettingsError(f"{name} must list networks, as 10.0.0.0/8: {error}") from None

    def operator(self) -> str:
        """Who gives the command: named, or as the system knows them, through sudo as well."""
        text = self.text("SMARTID_OPERATOR") or self.text("SUDO_USER") or self.text("USER")
        return re.sub(r"[^A-Za-z0-9._@-]", "_", text or f"uid-{os.getuid()}")[:64]

    def read_by(self, name: str, read: Callable[[str], object]) -> str:
        """A text that somebody else reads; here it is made sure that they can."""
        text = self.text(name) or ""
        try:
            read(text)
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
        return text

    def iins(self, name: str) -> dict[str, str]:
        """Banks and the 6 or 8 digits of each, in ISO 7812's national range for tests."""
        found: dict[str, str] = {}
        for part in filter(None, (self.text(name) or "").split(",")):
            bank, _, iin = (text.strip() for text in part.partition("="))
            right = iin.isascii() and iin.isdigit() and len(iin) in (6, 8)
            if bank not in _BANKS or bank in found or not right or not iin.startswith("9116"):
                raise SettingsError(
                    f"{name} must be such as ACLEDA=91160110,WING=911603: one of"
                    f" {', '.join(_BANKS)}, and 6 or 8 digits that begin with 9116"
                )
            found[bank] = iin
        return found

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of `choices`, the first when nothing is given."""
        text = self.text(name) or choices[0]
        if text not in choices:
            raise SettingsError(f"{name} must be {' or '.join(choices)}, not {text!r}")
        return text

    def environment(self, name: str) -> Environment:
        text = self.text(name) or Environment.DEMO.value
        try:
            return Environment(text)
        except ValueError:
            raise SettingsError(f"{name} must be demo, test or production, not {text!r}") from None


def _read_periods(text: str) -> None:
    if text:
        from wallet.retention import read_periods  # most of the wallet, for a setting few give

        read_periods(text)


def _refuse_half_a_token(settings: Settings) -> None:
    told = {
        "SMARTID_PKCS11_MODULE": settings.pkcs11_module,
        "SMARTID_PKCS11_TOKEN": settings.pkcs11_token,
        "SMARTID_PKCS11_PIN_FILE": settings.pkcs11_pin_file,
    }
    missing = [name for name, value in told.items() if value is None]
    if settings.key_store == "pkcs11" and missing:
        raise SettingsError(f"{missing[0]} is required when SMARTID_KEY_STORE=pkcs11")


def _refuse_unfit_production(settings: Settings, given: _Given) -> None:
    if settings.environment is not Environment.PRODUCTION:
        return
    if settings.simulation:
        raise SettingsError("SMARTID_SIMULATION must be off when SMARTID_ENV=production")
    for name, url in (("DATABASE_URL", settings.database_url), ("REDIS_URL", settings.redis_url)):
        if url is None:
            raise SettingsError(f"{name} is required when SMARTID_ENV=production")
    for name, url in settings.outbound().items():
        if url is not None and urlsplit(url).scheme != "https":
            raise SettingsError(f"{name} must begin with https:// when SMARTID_ENV=production")
    if given.text("SMARTID_ALLOW_PLAIN_SERVERS") != "1":
        _refuse_plain_servers(settings)
    if settings.key_store == "file" and given.text("SMARTID_ALLOW_SOFTWARE_KEYS") != "1":
        raise SettingsError(
            "SMARTID_ALLOW_SOFTWARE_KEYS=1 is required to keep the vault's master key in a file"
            " (SMARTID_KEY_FILE) when SMARTID_ENV=production: an HSM belongs there"
            " (SMARTID_KEY_STORE=pkcs11)"
        )


def _refuse_plain_servers(settings: Settings) -> None:
    """Refuses: SettingsError, where the books or the gates could be read on the way."""
    plain = "or SMARTID_ALLOW_PLAIN_SERVERS=1 where the network between is nobody else's"
    database = urlsplit(settings.database_url or "")
    asked = dict(parse_qsl(database.query))
    hosts = (database.hostname or asked.get("host", "")).split(",")
    over_tcp = any(host and not host.startswith("/") for host in hosts)
    if over_tcp and asked.get("sslmode") not in ("require", "verify-ca", "verify-full"):
        raise SettingsError(
            "DATABASE_URL must say sslmode=verify-full (or verify-ca, require) when"
            f" SMARTID_ENV=production, {plain}"
        )
    redis = urlsplit(settings.redis_url or "")
    if redis.scheme == "redis":
        raise SettingsError(
            f"REDIS_URL must begin with rediss:// or unix:// when SMARTID_ENV=production, {plain}"
        )
    if redis.username in (None, "", "default") or not redis.password:
        raise SettingsError(
            "REDIS_URL must log in as a user of its own, who may neither flush nor watch"
            f" (see docs/threat-model.md), {plain}"
        )

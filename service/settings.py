"""Everything the environment may decide, read once, in a composition root.

`DARKROOM_STORAGE__BUCKET=images` sets `storage.bucket`; the same name stands in
`darkroom.toml` as `bucket` under `[storage]`; the environment wins. A variable
with `_FILE` behind its name reads a secret from that file. `PORT` and `REDIS_URL`
are honored too. An unknown setting stops the process with a sentence.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from service.core.webhooks import Schedule

PACKAGED_CATALOG = Path(__file__).parent.parent / "infra" / "catalog.toml"
_PREFIX = "DARKROOM_"
_PLAIN = {"PORT": "DARKROOM_PORT", "REDIS_URL": "DARKROOM_REDIS_URL"}


_TEN_YEARS_S = 315_360_000


class ConfigurationError(Exception):
    """A setting is unknown, contradictory or out of range; the message says which."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Storage(_Section):
    """Where finished images live."""

    kind: Literal["local", "s3"] = "local"
    bucket: str = "darkroom"
    endpoint_url: str | None = None
    """Where this process reaches the store; None: AWS."""
    public_endpoint_url: str | None = None
    """Where clients reach it, the host that signed URLs carry; None: the same."""
    region: str = "us-east-1"
    access_key_id: str | None = None
    """None: botocore's own chain (environment, profile, instance role)."""
    secret_access_key: SecretStr | None = None
    url_lifetime_s: int = Field(default=3600, ge=1, le=604_800)
    timeout_s: float = Field(default=30, gt=0)

    @property
    def url_lifetime(self) -> timedelta:
        """How long a signed URL reads its image."""
        return timedelta(seconds=self.url_lifetime_s)


class Worker(_Section):
    """One worker process."""

    max_jobs: int = Field(default=100, ge=1, le=10_000)
    """Jobs in work at once in one process."""
    lease_s: float = Field(default=15, ge=1, le=300)
    """A dead worker's jobs run again after this; the heartbeat is a third of it."""
    drain_s: float = Field(default=30, ge=0)
    """How long SIGTERM waits for running jobs before it gives them back."""
    attempt_timeout_s: float = Field(default=600, gt=0)
    """No attempt takes longer than this; a provider's own `timeout_s` is shorter."""
    max_attempts: int = Field(default=4, ge=1)
    retry_base_s: float = Field(default=2, ge=0)
    retry_ceiling_s: float = Field(default=120, ge=0)
    imaging_processes: int = Field(default=2, ge=1)
    input_bytes: int = Field(default=256 * 2**20, ge=0)
    """Images that jobs in work start from are no more than this in memory."""


class Limits(_Section):
    """Defaults for keys that name no limit of their own, and the overall ones."""

    queued_jobs: int = Field(default=100_000, ge=1)
    """Unfinished jobs one key may have."""
    running_jobs: int | None = Field(default=None, ge=1)
    """Jobs of one key in work at once; the others wait."""
    backlog: int = Field(default=1_000_000, ge=1)
    """Unfinished jobs in all."""
    requests_per_minute: int | None = Field(default=None, ge=1)
    quota_units: int | None = Field(default=None, ge=0)
    """Units per calendar month (UTC)."""
    json_bytes: int = Field(default=262_144, ge=1024)
    body_s: float = Field(default=30, gt=0)
    """A request body must have arrived whole by then."""
    streams: int = Field(default=100, ge=1)
    """Streams of events one key may follow at one front door."""
    write_s: float = Field(default=30, gt=0)
    """Whoever takes nothing of an answer for so long is cut off."""
    file_bytes: int = Field(default=20 * 2**20, ge=1024)
    """Largest image that may be sent along, or that a link may lead to."""
    upload_bytes: int = Field(default=64 * 2**20, ge=1024)
    """Largest body with images in it, and all that links in one may lead to."""
    upload_s: float = Field(default=300, gt=0)
    """A body longer than `json_bytes` must have arrived whole by then."""
    uploaded_file_bytes: int = Field(default=200 * 2**20, ge=1024)
    """Largest file that `POST /v1/files` takes."""
    batch_bytes: int = Field(default=2**30, ge=1024)
    """Largest batch that is sent line by line."""
    batch_lines: int = Field(default=1_000_000, ge=1)
    """Most lines of one."""
    batch_window: int = Field(default=1000, ge=1, le=100_000)
    """Lines of one batch that have unfinished jobs; the others wait in the store."""
    upload_bytes_per_s: int = Field(default=32 * 1024, ge=1)
    """How fast such a file or batch must come, in the long run: who sends it may keep
    us waiting for `body_s`, and a second more for so many bytes that came."""
    reference_s: float = Field(default=15, gt=0)
    """What a link in a request leads to must have been read by then."""


class Outbound(_Section):
    """The guard around URLs that users and providers name."""

    allowed_networks: list[IPv4Network | IPv6Network] = []
    allow_http: bool = False


class Webhooks(_Section):
    """How events are delivered to whoever asked to be told."""

    schedule_s: list[Annotated[float, Field(ge=0)]] = Field(
        default=[5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
        max_length=100,
    )
    """Waits between attempts, give or take a fifth; by default ten in three days."""
    timeout_s: float = Field(default=15, gt=0, le=300)
    """A receiver must have answered by then."""
    max_in_flight: int = Field(default=10, ge=1, le=1000)
    """Deliveries on their way to one receiver at once; the others wait."""
    host_per_minute: int = Field(default=6000, ge=0)
    """Calls of one host a minute, whoever wants them; 0: no limit."""
    slots: int = Field(default=100, ge=1, le=10_000)
    """Deliveries in work at once in one worker process, beside its jobs."""
    breaker_s: float = Field(default=300, gt=0)
    """A receiver that fails is tried at least so often, by one delivery."""
    disable_after_s: float = Field(default=5 * 86_400, gt=0)
    """An endpoint that has failed for so long, without a success, is disabled."""
    retention_s: int = Field(default=7 * 86_400, ge=60, le=_TEN_YEARS_S)
    """Deliveries and their logs are kept this long behind their end."""
    endpoints: int = Field(default=16, ge=1, le=1000)
    """Endpoints one account may have."""

    @property
    def schedule(self) -> Schedule:
        """When a delivery that failed is tried again."""
        return Schedule(tuple(timedelta(seconds=wait) for wait in self.schedule_s))


class Settings(BaseSettings):
    """One object per process, built in a composition root and passed down."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        toml_file="darkroom.toml",
    )

    redis_url: str = "redis://127.0.0.1:6379/0"
    """`redis://`, `rediss://` or `unix:///path`; Redis 7 or Valkey 7.2 and newer."""
    data_dir: Path = Path(".darkroom")
    catalog_file: Path = PACKAGED_CATALOG
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str | None = None
    """Base of every link we mint; required when bound to other than loopback."""
    bootstrap_key: SecretStr | None = None
    default_model: str | None = None
    """What is asked for where a request names no model; None: it has to."""
    sync_wait_s: float = Field(default=55, gt=0, le=600)
    """How long a synchronous call without `Prefer` is held."""
    heartbeat_s: float = Field(default=15, gt=0, le=60)
    """A stream of events says at least so often that it lives."""
    drain_s: float = Field(default=60, ge=0)
    """How long SIGTERM at the front door waits for requests under way."""
    retention_s: int = Field(default=7 * 86_400, ge=60, le=_TEN_YEARS_S)
    """Records and images of finished jobs are kept this long."""
    idempotency_s: int = Field(default=86_400, ge=60, le=_TEN_YEARS_S)
    open_catalog: bool = True
    """Whether maps of models, and which are popular, are shown without a key."""
    billing: Literal["dialect", "always", "never"] = "dialect"
    """Whether answers with images tell latency and cost: where the caller's dialect
    has them, everywhere, or nowhere; a job always tells its owner."""
    json_logs: bool = True
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    storage: Storage = Storage()
    worker: Worker = Worker()
    limits: Limits = Limits()
    outbound: Outbound = Outbound()
    webhooks: Webhooks = Webhooks()

    @field_validator("redis_url")
    @classmethod
    def _names_a_redis(cls, url: str) -> str:
        parts = urlsplit(url)
        database = parts.path.strip("/")
        if parts.scheme == "unix" and database:
            return url
        if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
            raise ValueError("must be redis://host, rediss://host or unix:///path")
        if parts.port == 0 or not (database or "0").isdecimal():
            raise ValueError("needs a port and a database that are numbers")
        return url

    @field_validator("public_url")
    @classmethod
    def _is_a_base(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an http:// or https:// URL")
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("takes no query, fragment or user")
        return url

    @field_validator("data_dir", mode="before")
    @classmethod
    def _is_a_folder(cls, folder: Any) -> Any:
        if not str(folder).strip():
            raise ValueError("must not be empty")
        try:
            Path(folder).expanduser()
        except RuntimeError as exc:
            raise ValueError("names the home of an unknown user") from exc
        return folder

    @property
    def base_url(self) -> str:
        """Base of every link we mint, without a slash at its end."""
        return (self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, and that over `darkroom.toml`."""
        _ = dotenv_settings, file_secret_settings
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))


def load_settings(**overrides: Any) -> Settings:
    """Read the environment and `darkroom.toml`; `overrides` win over both.

    Raises:
        ConfigurationError: One sentence that names the setting and what is wrong.
    """
    _adopt(os.environ)
    try:
        settings = Settings(**overrides)
    except ValidationError as exc:
        raise ConfigurationError(_sentence(exc)) from exc
    except ValueError as exc:  # a list or table in the environment that is not JSON
        raise ConfigurationError(f"a setting cannot be read: {exc}") from exc
    if settings.public_url is None and settings.host not in _LOOPBACK:
        raise ConfigurationError(
            f"DARKROOM_HOST is {settings.host}: set DARKROOM_PUBLIC_URL to the base "
            "URL that clients use, so that links point there"
        )
    return settings


_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_NOT_SETTINGS = frozenset(
    {
        "DARKROOM_PARENT_FD",
        "DARKROOM_URL",
        "DARKROOM_API_KEY",
        "DARKROOM_TEST_POISON",
    },
)
"""What `up` tells its children, what the commands read as clients, what tests arm."""


def _adopt(environ: Mapping[str, str]) -> None:
    """Bring plain and `_FILE` names into `DARKROOM_` ones; refuse unknown ones."""
    for name, ours in _PLAIN.items():
        if name in environ:
            os.environ.setdefault(ours, environ[name])
    known = _names(Settings)
    for name in [n for n in environ if n.startswith(_PREFIX)]:
        if name in known or name in _NOT_SETTINGS:
            continue
        target = name.removesuffix("_FILE")
        if target == name or target not in known:
            raise ConfigurationError(
                f"unknown setting {name}: `darkroom config show` lists all of them"
            )
        try:
            secret = Path(environ[name]).read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise ConfigurationError(f"{name}: cannot read the file: {exc}") from exc
        except UnicodeDecodeError as exc:
            raise ConfigurationError(f"{name}: the file is not UTF-8 text") from exc
        os.environ.setdefault(target, secret)
        del os.environ[name]


def _names(model: type[BaseModel], prefix: str = _PREFIX) -> set[str]:
    names: set[str] = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, _Section):
            names |= _names(kind, f"{prefix}{name.upper()}__")
        else:
            names.add(f"{prefix}{name.upper()}")
    return names


def _sentence(exc: ValidationError) -> str:
    parts = []
    for error in exc.errors():
        name = _PREFIX + "__".join(str(part).upper() for part in error["loc"])
        reason = error["msg"].removeprefix("Value error, ")
        parts.append(f"{name}: {reason[:1].lower()}{reason[1:]}")
    return "; ".join(parts)

"""Everything the environment may decide, read once, in a composition root.

`DARKROOM_STORAGE__BUCKET=images` sets `storage.bucket`; the same name stands in
`darkroom.toml` as `bucket` under `[storage]`; the environment wins. A variable
with `_FILE` behind its name reads a secret from that file. `PORT` and `REDIS_URL`
are honored too. An unknown setting stops the process with a sentence.
"""

from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from service.settings.environment import (
    PREFIX,
    ConfigurationError,
    adopt,
    kinds_of,
    not_json,
    sentence,
)
from service.settings.redis_urls import check_redis_url
from service.settings.sections import (
    TEN_YEARS_S,
    Limits,
    Outbound,
    Storage,
    Webhooks,
    Worker,
)

__all__ = [
    "PACKAGED_CATALOG",
    "ConfigurationError",
    "Limits",
    "Outbound",
    "Settings",
    "Storage",
    "Webhooks",
    "Worker",
    "load_settings",
]

PACKAGED_CATALOG = Path(__file__).parents[2] / "infra" / "catalog.toml"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_FILE = "darkroom.toml"


class Settings(BaseSettings):
    """One object per process, built in a composition root and passed down."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        toml_file=_FILE,
    )

    redis_url: str = "redis://127.0.0.1:6379/0"
    """See `service.settings.redis_urls`; Redis 7 or Valkey 7.2 and newer."""
    durability: Literal["default", "strict", "replicated"] = "default"
    """What an answer promises: that the process of Redis may die, its whole machine
    (`appendfsync always`), or its machine for good (a replica has it, too)."""
    unsafe: bool = False
    """Start even on a Redis or a bucket that breaks promises; see `service.boot`."""
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
    retention_s: int = Field(default=7 * 86_400, ge=60, le=TEN_YEARS_S)
    """Records and images of finished jobs are kept this long."""
    idempotency_s: int = Field(default=86_400, ge=60, le=TEN_YEARS_S)
    open_catalog: bool = True
    """Whether maps of models, and which are popular, are shown without a key."""
    billing: Literal["dialect", "always", "never"] = "dialect"
    """Whether answers with images tell latency and cost: where the caller's dialect
    has them, everywhere, or nowhere; a job always tells its owner."""
    tracing: bool = False
    """Whether spans are sent where OpenTelemetry's own variables say."""
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
        check_redis_url(url)
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
    adopt(set(kinds_of(Settings)))
    try:
        settings = Settings(**overrides)
    except ValidationError as exc:
        raise ConfigurationError(sentence(exc)) from exc
    except SettingsError as exc:
        raise ConfigurationError(not_json(Settings)) from exc
    except (ValueError, OSError) as exc:  # not TOML, not UTF-8, not ours to read
        raise ConfigurationError(f"{_FILE}: {exc}") from exc
    if settings.public_url is None and settings.host not in _LOOPBACK:
        raise ConfigurationError(
            f"DARKROOM_HOST is {settings.host}: set DARKROOM_PUBLIC_URL to the base "
            "URL that clients use, so that links point there"
        )
    return settings

"""The settings by subject, each section with what it holds unless it is set."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from service.core.webhooks import Schedule

TEN_YEARS_S = 315_360_000


class Section(BaseModel):
    """Settings that belong together; an unknown one is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Storage(Section):
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


class Worker(Section):
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


class Limits(Section):
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


class Outbound(Section):
    """The guard around URLs that users and providers name."""

    allowed_networks: list[IPv4Network | IPv6Network] = []
    allow_http: bool = False


class Webhooks(Section):
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
    """An endpoint that has failed for so long, without a success, is disabled; after
    two fifths of it without a word, it begins anew."""
    retention_s: int = Field(default=7 * 86_400, ge=60, le=TEN_YEARS_S)
    """Deliveries and their logs are kept this long behind their end."""
    endpoints: int = Field(default=16, ge=1, le=1000)
    """Endpoints one account may have."""

    @property
    def schedule(self) -> Schedule:
        """When a delivery that failed is tried again."""
        return Schedule(tuple(timedelta(seconds=wait) for wait in self.schedule_s))

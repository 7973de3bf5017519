"""The job, as its owner sees it; all times are Unix seconds."""

from typing import Any, Literal, NotRequired

from service.api.openapi.shapes import Shape
from service.api.openapi.shapes.images import FieldWarning, Format, Image, JobError

State = Literal["queued", "running", "succeeded", "failed", "canceled", "expired"]
Priority = Literal["interactive", "normal", "batch"]
CostSource = Literal["reported", "priced", "estimated"]
"""The provider said so; the catalog names this price; its default is a guess."""


class Queue(Shape):
    """A queued job's place."""

    position: int | None
    """From 0, over all accounts; null where nobody looked."""
    eta_s: int | None
    """A guess of the seconds until it starts."""
    priority: Priority
    held: bool
    """Whether it may have been bought already, and waits to be released or canceled:
    its API key was made to be asked first."""


class Input(Shape):
    """An image that came along; its bytes are nobody's to read back."""

    sha256: str
    """Of what was sent."""
    width: int
    height: int
    content_type: str


class AskedFor(Shape):
    """What was asked for, as it was understood."""

    operation: Literal["generate", "edit", "variation"]
    model: str
    """Its canonical name."""
    prompt: str
    n: int
    size: str
    requested_size: str | None
    output_format: Format
    quality: NotRequired[str]
    style: NotRequired[str]
    background: NotRequired[str]
    moderation: NotRequired[str]
    input_fidelity: NotRequired[str]
    output_compression: NotRequired[int]
    seed: NotRequired[int]
    negative_prompt: NotRequired[str]
    user: NotRequired[str]
    failover_on_refusal: NotRequired[bool]
    images: NotRequired[list[Input]]
    mask: NotRequired[Input]


class JobAttempt(Shape):
    """One try at one route."""

    provider: str
    provider_model: str
    started_at: int
    ms: int | None
    """How long it took; null where it was interrupted."""
    outcome: str
    error_code: str | None
    upstream_id: str | None
    """The provider's own name for it."""
    cost: float | None
    """US dollars."""
    cost_source: CostSource | None
    billed: bool | None
    """Whether it stands on the provider's bill; null where nobody knows."""


class JobResult(Shape):
    """What a job made."""

    created: int
    data: list[Image]


class JobLinks(Shape):
    """Where to go from here."""

    self: str
    events: str
    """What happens to it, as server-sent events."""
    cancel: str


class Job(Shape):
    """One accepted request and its history."""

    id: str
    object: Literal["image.job"]
    status: State
    """The last four are final: a job that is in one of them never changes again."""
    progress: float
    """From 0 to 1, as far as the provider tells."""
    queue: Queue | None
    """Null once it has started."""
    created_at: int
    started_at: int | None
    completed_at: int | None
    expires_at: int | None
    """When record and images will be deleted, or the job given up."""
    request: AskedFor
    result: JobResult | None
    """There when it succeeded."""
    error: JobError | None
    attempts: list[JobAttempt]
    usage: dict[str, Any] | None
    """As the provider reports it."""
    cost: float | None
    """US dollars, over all attempts."""
    cost_source: CostSource | None
    """The weakest of the attempts'."""
    metadata: dict[str, str]
    alias: str | None
    """What you called it, in `PUT /v1/jobs/{id}`."""
    retry_of: str | None
    """The job whose request it repeats."""
    batch_id: str | None
    """The batch it is a line of."""
    custom_id: str | None
    """What the batch calls that line."""
    links: JobLinks
    warnings: NotRequired[list[FieldWarning]]


class Route(Shape):
    """A provider, and its own name for the model."""

    provider: str
    provider_model: str


class Price(Shape):
    """What the images would cost."""

    usd: float
    source: CostSource


class Preview(Shape):
    """What a job would come to, said by a dry run."""

    object: Literal["image.job.dry_run"]
    model: str
    request: AskedFor
    images: int
    """How many came along; nobody has looked at them."""
    routes: list[Route]
    """Best first."""
    available: bool
    """Whether a worker that is alive can call one of them."""
    price: Price | None
    """Null where the catalog does not say."""
    quota_units: int
    queue: Queue
    warnings: list[FieldWarning]


class JobList(Shape):
    """A page of jobs, newest first."""

    object: Literal["list"]
    data: list[Job]
    has_more: bool
    first_id: str | None
    last_id: str | None
    """Send it as `after` for the next page."""

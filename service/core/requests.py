"""What a caller asked for, validated and brought into one canonical form.

Every dialect makes one of these; the record stores it; every provider reads it.
"""

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from operator import attrgetter
from typing import Any, Self


class Priority(StrEnum):
    """How soon a job should start, next to others of the same account."""

    INTERACTIVE = "interactive"
    NORMAL = "normal"
    BATCH = "batch"

    @property
    def weight(self) -> int:
        """Share of the fleet next to the other priorities."""
        return _WEIGHTS[self]


_WEIGHTS = {Priority.INTERACTIVE: 16, Priority.NORMAL: 4, Priority.BATCH: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class InputImage:
    """An image to start from: decoded, re-encoded without metadata, and stored.

    Attributes:
        key: Where it lies in the image store, `jobs/{job id}/inputs/{i}`.
        sha256: Hex digest of the bytes as the caller sent them: equal requests have
            equal digests, whatever the encoder made of them.
        width: Pixels.
        height: Pixels.
        content_type: `image/png`, `image/jpeg` or `image/webp`.
        size_bytes: Of what is stored.
    """

    key: str
    sha256: str
    width: int
    height: int
    content_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One request for `n` images, already validated against the catalog.

    Attributes:
        model: Canonical name in the catalog, such as `openai/gpt-image-1`.
        prompt: Up to 32,000 code points, exactly as the caller sent them; empty only
            where there are images.
        n: How many images, 1 to the model's `max_n`.
        width: Pixels.
        height: Pixels.
        requested_size: What the caller wrote (`1000x1000`, `16:9 2K`); None for auto.
        quality: `auto`, `low`, `medium`, `high`, `standard` or `hd`; None: unsaid.
        style: `vivid` or `natural`; None: unsaid.
        background: `auto`, `transparent` or `opaque`; None: unsaid.
        moderation: `auto` or `low`; None: unsaid.
        input_fidelity: `low` or `high`: how closely an edit keeps to its images;
            None: unsaid.
        output_format: `png`, `jpeg` or `webp`.
        output_compression: 0 to 100, for jpeg and webp; None: the encoder's default.
        seed: 0 to 2**63 - 1; None: the provider rolls.
        negative_prompt: What should not be seen.
        user: The caller's opaque name of its own end user, passed on.
        operation: `generate`, `edit` or `variation`; the last two have images.
        images: What to start from, up to 16, in the caller's order.
        mask: Where the first of them may be changed: where it is transparent.
        partial_images: How many unfinished states of the image the caller wants to
            see on the way, 0 to 3.
        failover_on_refusal: Whether a route that refuses the prompt leaves it to the
            next.
    """

    model: str
    prompt: str
    n: int = 1
    width: int = 1024
    height: int = 1024
    requested_size: str | None = None
    quality: str | None = None
    style: str | None = None
    background: str | None = None
    moderation: str | None = None
    input_fidelity: str | None = None
    output_format: str = "png"
    output_compression: int | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    user: str | None = None
    operation: str = "generate"
    images: tuple[InputImage, ...] = ()
    mask: InputImage | None = None
    partial_images: int = 0
    failover_on_refusal: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> str:
        """`WIDTHxHEIGHT` in pixels."""
        return f"{self.width}x{self.height}"

    def to_record(self) -> dict[str, Any]:
        """Return JSON-ready fields; defaults are left out to keep records small."""
        record = dict(zip(_REQUIRED, _required_of(self), strict=True))
        said = _optional_of(self)
        if said != _UNSAID:  # most requests say none of it
            rest = zip(_OPTIONAL, said, _UNSAID, strict=True)
            record.update({name: value for name, value, no in rest if value != no})
            if self.images:
                record["images"] = [asdict(image) for image in self.images]
            if self.mask is not None:
                record["mask"] = asdict(self.mask)
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Read what `to_record` wrote; unknown fields of a newer minor are ignored."""
        known = {k: v for k, v in record.items() if k in _NAMES}
        if "images" in known:
            known["images"] = tuple(InputImage(**image) for image in known["images"])
        if "mask" in known:
            known["mask"] = InputImage(**known["mask"])
        return cls(**known)


_NAMES = frozenset(f.name for f in fields(GenerationRequest))
_REQUIRED = ("model", "prompt", "n", "width", "height", "output_format")
_OPTIONAL = tuple(f.name for f in fields(GenerationRequest) if f.name not in _REQUIRED)
_required_of, _optional_of = attrgetter(*_REQUIRED), attrgetter(*_OPTIONAL)
_UNSAID = _optional_of(GenerationRequest(model="", prompt=""))

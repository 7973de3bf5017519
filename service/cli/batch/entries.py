"""What a manifest says of one prompt, and what is known of the batch it was sent in."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, Self

DOWNLOAD_FAILED = "download_failed"
"""Code of an image that was made and did not arrive; it need not be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one prompt; a line of the manifest.

    Attributes:
        line: Where the prompt stands in the file.
        custom_id: What its own fields call it.
        batch: The batch it was last part of; None: it was never sent.
        job_id: None: no job was made of it.
        status: The final state of its job, or `failed`.
        images: `file`, `sha256`, `width`, `height`, `content_type` of each.
        error: `{"code", "message"}`; beside images when some could not be made.
        cost: US dollars, over all attempts of its job.
    """

    line: int
    prompt: str
    custom_id: str | None = None
    batch: str | None = None
    job_id: str | None = None
    status: str = "failed"
    images: list[dict[str, Any]]
    error: dict[str, Any] | None
    cost: float | None = None

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Self:
        """Read a line; what another version wrote beside it is let be.

        Raises:
            TypeError: It is none.
        """
        known = {each.name for each in fields(cls)} & stored.keys()
        return cls(**{name: stored[name] for name in known})

    @property
    def succeeded(self) -> bool:
        """Whether its images are there."""
        return self.status == "succeeded"

    @property
    def was_made(self) -> bool:
        """Whether its job has images, which need only be fetched."""
        return self.succeeded or (self.error or {}).get("code") == DOWNLOAD_FAILED

    def to_json(self) -> bytes:
        """Return the line, non-ASCII text as it is."""
        return json.dumps(asdict(self), ensure_ascii=False).encode() + b"\n"


class Sent(NamedTuple):
    """A batch that was made of this folder's file.

    Attributes:
        batch: Its id.
        lines: Where its prompts stand in the file, in the order they were sent.
    """

    batch: str
    lines: list[int]

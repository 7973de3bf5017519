"""What the fakes speak of: what was asked for, what came out, and why not."""

from dataclasses import dataclass, field
from typing import Any

KEY = "key-of-ours"


class Refusal(Exception):
    """The provider would not take this request; worded by `Fake.refused`."""

    def __init__(self, status: int, kind: str, **more: Any) -> None:
        super().__init__(kind)
        self.status, self.kind, self.more = status, kind, more


@dataclass(frozen=True)
class Link:
    """A result that is a link to somewhere else."""

    url: str


@dataclass
class Asked:
    """What a call asked for, as the provider understood it."""

    prompt: str
    model: str
    width: int
    height: int
    n: int = 1
    image_format: str = "png"
    images: list[bytes] = field(default_factory=list)
    mask: bytes | None = None
    seed: int | None = None
    fields: Any = None
    id: str = ""


Result = bytes | Link

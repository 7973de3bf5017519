"""Files, as OpenAI describes them; all times are Unix seconds."""

from typing import Literal

from service.api.openapi.shapes import Shape


class File(Shape):
    """A file of the account."""

    id: str
    object: Literal["file"]
    bytes: int
    """0 where the content is written out anew by each reading: what a batch made."""
    created_at: int
    expires_at: int | None
    """Gone from then on; null: it stays until it is deleted."""
    filename: str
    """Without folders."""
    purpose: Literal["batch", "vision", "user_data", "batch_output"]
    status: Literal["processed"]


class FileList(Shape):
    """A page of files."""

    object: Literal["list"]
    data: list[File]
    has_more: bool
    first_id: str | None
    last_id: str | None
    """Send it as `after` for the next page."""


class FileDeleted(Shape):
    """The answer of OpenAI's API to a deletion."""

    id: str
    object: Literal["file"]
    deleted: Literal[True]

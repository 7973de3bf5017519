"""Files: uploads, and what batches wrote."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import httpx

from service.client.bodies import Form
from service.client.errors import Unreachable
from service.client.fields import named
from service.client.holdings import File
from service.client.steps import (
    READ,
    Feed,
    Flow,
    Item,
    Opened,
    Request,
    asked,
    listed,
    route,
)

_READ_THROUGH_S = 600.0


def upload(
    content: bytes | str | os.PathLike[str],
    *,
    filename: str | None = None,
    purpose: str = "batch",
    expires_after_s: int | None = None,
    idempotency_key: str | None = None,
) -> Flow[File]:
    """Upload a file; its content goes while it is read.

    Args:
        content: Its bytes, or its path.
        filename: None: that of the path.
        purpose: `batch`, `vision` or `user_data`.
        expires_after_s: An hour to thirty days; None: as its purpose has it.
        idempotency_key: Your own name for it; None: one is made for this call.

    Raises:
        OSError: It cannot be read.
    """
    fields = {"purpose": purpose}
    if expires_after_s is not None:
        fields["expires_after[anchor]"] = "created_at"
        fields["expires_after[seconds]"] = str(expires_after_s)
    headers = named(idempotency_key)
    if isinstance(content, bytes):
        name = filename or "upload.jsonl"
        return (yield from _sent(content, name, fields, headers))
    path = Path(content)
    with path.open("rb") as file:
        return (yield from _sent(file, filename or path.name, fields, headers))


def file(file_id: str) -> Flow[File]:
    """Return what is known of a file."""
    return asked(File, Request(path=route("files", file_id)))


def files(*, purpose: str | None = None, limit: int | None = None) -> Feed[File]:
    """Yield files, newest first, at most `limit`; None: all."""
    return listed(File, route("files"), params={"purpose": purpose}, limit=limit)


def content(file: File | str) -> Feed[bytes]:
    """Yield the content of a file, piece by piece.

    Raises:
        Unreachable: The connection broke on the way.
    """
    yield Opened(Request(path=route("files", _id_of(file), "content")))
    try:
        while chunk := (yield READ):
            yield Item(chunk)
    except httpx.RequestError as exc:
        raise Unreachable(f"the file breaks off ({exc})") from exc


def delete_file(file: File | str) -> Flow[None]:
    """Delete a file."""
    yield Request(method="DELETE", path=route("files", _id_of(file)))


def _sent(
    file: BinaryIO | bytes,
    filename: str,
    fields: Mapping[str, str],
    headers: Mapping[str, str],
) -> Flow[File]:
    body = Form(fields=fields, filename=filename, file=file)
    return asked(
        File,
        Request(
            method="POST",
            path=route("files"),
            headers=headers,
            body=body,
            held_s=_READ_THROUGH_S,
        ),
    )


def _id_of(file: File | str) -> str:
    return file.id if isinstance(file, File) else file

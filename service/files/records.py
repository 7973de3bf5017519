"""What is known of a file, and how that is written down."""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.job_store.times import time_of

_RANDOM_BYTES = 16
_FORM = re.compile(r"file-[a-z2-7]{26}")


class FileKind(StrEnum):
    """Where a file's content comes from."""

    UPLOAD = "upload"
    """It was sent, and lies in the store."""
    OUTPUT = "output"
    """A batch's results; written out anew by each reading."""
    ERROR = "error"
    """What failed of a batch; likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of an account.

    Attributes:
        purpose: `batch`, or another word of OpenAI's; `batch_output` of a batch's own.
        filename: As its sender called it, made harmless to show; never a path.
        size_bytes: 0 where the content is written out anew by each reading.
        expires_at: Gone from then on; None: it stays until it is deleted.
        batch: Whose results these are; None for an upload.
        parts: In how many pieces it lies in the store.
    """

    id: str
    account: str
    purpose: str
    filename: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime | None
    kind: FileKind = FileKind.UPLOAD
    batch: str | None = None
    parts: int = 0

    def part(self, index: int) -> str:
        """Return where a piece of it lies in the store."""
        return part_key(self.id, index)


def folder_of(file_id: str) -> str:
    """Return what the keys of all pieces of a file begin with."""
    return f"files/{file_id}/"


def part_key(file_id: str, index: int) -> str:
    """Return where a piece of a file lies in the store."""
    return f"{folder_of(file_id)}{index}"


def new_file_id() -> str:
    """Return `file-` and 26 random characters (128 bits)."""
    return _file_id(secrets.token_bytes(_RANDOM_BYTES))


def file_id_of(batch: str, kind: FileKind) -> str:
    """Return the id of a batch's own file: always the same one."""
    return _file_id(hashlib.sha256(f"{batch} {kind}".encode()).digest())


def is_file_id(text: str) -> bool:
    """Whether `text` has the form of a file's id, so that it may become a key."""
    return _FORM.fullmatch(text) is not None


def fields_of(
    *,
    account: str,
    kind: FileKind,
    purpose: str,
    filename: str,
    size_bytes: int = 0,
    parts: int = 0,
    batch: str | None = None,
) -> list[str | int]:
    """Return a record as names and values in turn; Redis adds the times."""
    fields = {
        "account": account,
        "kind": kind.value,
        "purpose": purpose,
        "filename": filename,
        "size_bytes": size_bytes,
        "parts": parts,
        **({} if batch is None else {"batch": batch}),
    }
    return [word for pair in fields.items() for word in pair]


def read_file(
    file_id: str, stored: Mapping[bytes, bytes], *, now_ms: int
) -> File | None:
    """Read a record's fields, as HGETALL gives them; None: the file is gone."""
    fields = {name.decode(): value.decode() for name, value in stored.items()}
    expires_ms = int(fields.get("expires_ms", 0))
    if "kind" not in fields or 0 < expires_ms <= now_ms:
        return None
    return File(
        id=file_id,
        account=fields["account"],
        purpose=fields["purpose"],
        filename=fields["filename"],
        size_bytes=int(fields["size_bytes"]),
        created_at=time_of(fields["created_ms"]),
        expires_at=time_of(expires_ms) if expires_ms else None,
        kind=FileKind(fields["kind"]),
        batch=fields.get("batch"),
        parts=int(fields["parts"]),
    )


def _file_id(noise: bytes) -> str:
    text = base64.b32encode(noise[:_RANDOM_BYTES]).decode().rstrip("=")
    return f"file-{text.lower()}"

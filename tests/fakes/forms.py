"""Forms byte by byte, right and wrong."""

from typing import NamedTuple

BOUNDARY = "the-boundary"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


class Part(NamedTuple):
    """One part; a file where it has a filename."""

    name: str
    content: bytes | str
    filename: str | None = None
    content_type: str | None = None
    more: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        disposition = f'Content-Disposition: form-data; name="{self.name}"'
        if self.filename is not None:
            disposition += f'; filename="{self.filename}"'
        lines = [f"--{BOUNDARY}", disposition, *self.more]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        content = self.content
        if isinstance(content, str):
            content = content.encode()
        return "\r\n".join((*lines, "", "")).encode() + content + b"\r\n"


def picture(name: str, data: bytes, filename: str = "x.png") -> Part:
    return Part(name, data, filename, "image/png")


def form(*parts: Part, end: bytes = b"--\r\n", **fields: str) -> bytes:
    """The text fields, then the parts, then the end."""
    texts = [Part(name, text) for name, text in fields.items()]
    body = b"".join(part.encoded() for part in (*texts, *parts))
    return body + f"--{BOUNDARY}".encode() + end

"""How the service and a decoder talk, over the decoder's stdin and stdout.

    service > frame     what to do, and the image
    decoder > TAKEN     the image is here; what happens from now on is its doing
    decoder > frame     what came of it, and the new image if one was wanted

A frame is two lengths, a JSON object and bytes. End of file is the only goodbye.
"""

import json
import struct
from typing import Any, BinaryIO

TAKEN = b"\x06"
LENGTHS = struct.Struct(">II")


def prelude(head: dict[str, Any], body: bytes) -> bytes:
    """Return a frame up to its body, which is sent after it and never copied."""
    told = json.dumps(head).encode()
    return LENGTHS.pack(len(told), len(body)) + told


def read(file: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Return the next frame; None at the end, in the midst of a frame too."""
    lengths = file.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head_size, body_size = LENGTHS.unpack(lengths)
    told, body = file.read(head_size), file.read(body_size)
    return (json.loads(told), body) if len(body) == body_size else None

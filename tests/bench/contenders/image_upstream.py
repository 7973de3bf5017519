"""OpenAI's images API in an instant: what it will answer lies ready in memory.

`/PICTURE/v1/images/generations` answers with that picture of `tests.bench.pngs`.
"""

import orjson
import pybase64

from tests.bench.contenders._answering import run
from tests.bench.pngs import PICTURES, slug

_USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 0},
    "output_tokens": 272,
    "total_tokens": 282,
}


def _answer(png: bytes) -> bytes:
    body = orjson.dumps(
        {
            "created": 1_795_000_000,
            "data": [{"b64_json": pybase64.b64encode(png).decode()}],
            "usage": _USAGE,
        }
    )
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    return b"%b%d\r\n\r\n%b" % (head, len(body), body)


def main() -> None:
    answers = {slug(name).encode(): _answer(p.png) for name, p in PICTURES.items()}
    run(lambda head: answers[head.split(b"/", 2)[1]])


if __name__ == "__main__":
    main()

"""Rows 15 to 33: bodies that are no good JSON, or no good bodies."""

import asyncio
import gzip
import zlib

import orjson

from tests.fakes.forms import Part
from tests.wire.bad_input.cases import (
    EDITS,
    GENERATIONS,
    GOOD,
    JOBS,
    JSON,
    Case,
    Rows,
    edit,
    everywhere,
    get,
    request,
    uploaded,
)
from tests.wire.bad_input.forms import IMAGE
from tests.wire.bad_input.house import House

EMBED = "/embed/image:test/test?key={embed}"

KIB = 1024


def bodies(*some: bytes) -> list[Case]:
    return [case for body in some for case in everywhere(body)]


def declared(*lines: str, body: bytes = orjson.dumps(GOOD)) -> list[Case]:
    """Return cases whose headers tell of the body what is not taken."""
    return [
        Case(request=request("POST", route, *lines, body=body))
        for route in (JOBS, GENERATIONS)
    ]


def begun(*lines: str, sent: bytes, route: str = JOBS) -> Case:
    """Return a case whose body has only begun, at the door that waits for little."""
    head = request("POST", route, JSON, *lines)
    return Case(request=head + sent, door="hasty")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def padded(size: int) -> bytes:
    """A request of so many bytes."""
    return b'{"prompt":"' + b"x" * (size - 13) + b'"}'


async def caller_who_hangs_up(house: House) -> None:
    """In the middle of a body, which harms nobody."""
    before = await house.traces()
    _, writer = await asyncio.open_connection("127.0.0.1", house.door.port)
    begun = request("POST", JOBS, JSON, "Content-Length: 100") + b'{"model"'
    writer.write(house.spelled(begun))
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    said = await house.hear(get("/healthz", key=None))

    assert said.status == 200
    assert await house.is_untouched(before)


SIXTEEN = '{"prompt":"x"}'

ROWS: Rows = {
    15: bodies(b""),
    16: bodies(b"null", b"[]", b'"x"', b"1", b"true"),
    17: bodies(b'{"model":"test/te', b"{", b'{"prompt":"a fox"'),
    18: [
        *bodies(b'{"prompt":"\xff\xfe"}', b'{"prompt":"\xc0\x80"}', b"\x80"),
        Case(request=uploaded(edit(IMAGE, Part("user", b"\xff"))), param="user"),
    ],
    19: bodies(
        b'\xef\xbb\xbf{"prompt":"x"}',
        *(SIXTEEN.encode(kind) for kind in ("utf-16", "utf-16-le", "utf-16-be")),
    ),
    20: bodies(
        b'{"prompt":' + b"[" * 100_000,
        b'{"metadata":' + b'{"a":' * 40_000,
        b'{"prompt":' + b"[" * 900 + b"]" * 900 + b"}",
    ),
    21: bodies(b'{"metadata":' + b'{"a":' * 32 + b"1" + b"}" * 33),
    22: bodies(b'{"seed":' + b"9" * 5000 + b"}"),
    23: bodies(
        *(b'{"seed":%s}' % n for n in (b"NaN", b"Infinity", b"-Infinity", b"1e400"))
    ),
    24: bodies(
        b'{"model":"a","model":"b","prompt":"x:y"}',
        b'{"metadata":{"a":"1","a":"2"}}',
        b'{"prompt":"a","pro\\u006dpt":"b"}',
    ),
    25: bodies(b'{"prompt":"\\ud800"}', b'{"prompt":"\\udc00\\ud800"}'),
    26: [
        Case(request=uploaded(edit(IMAGE, prompt="a\0b")), param="prompt"),
        Case(request=get(f"{EMBED}&prompt=%01", key=None)),
        *everywhere({**GOOD, "prompt": "a\0b"}, param="prompt"),
        *everywhere({**GOOD, "prompt": "a\x1b[31mb"}, param="prompt"),
        *everywhere({**GOOD, "negative_prompt": "\x07"}, param="negative_prompt"),
    ],
    27: bodies(orjson.dumps(GOOD) + b" x", orjson.dumps(GOOD) * 2),
    28: bodies(padded(256 * KIB + 1)),
    29: [
        begun(
            "Transfer-Encoding: chunked",
            sent=b"10000\r\n" + b"x" * 65536 + b"\r\n40000\r\n" + b"x" * 262144,
        ),
        begun("Content-Length: 70000000", sent=b'{"prompt":"'),
        begun("Transfer-Encoding: chunked", sent=chunk(padded(300_000)), route=EDITS),
    ],
    30: [
        begun("Content-Length: 100", sent=b"{"),
        begun("Transfer-Encoding: chunked", sent=chunk(b"{")),
        begun(
            "Transfer-Encoding: chunked",
            sent=chunk(b'{"image":"data:image/png;base64,'),
            route=EDITS,
        ),
        caller_who_hangs_up,
    ],
    31: [
        *declared("Content-Type: text/plain"),
        *declared("Content-Type: application/jsonx"),
        *declared("Content-Type: "),
        *declared(),
    ],
    32: [
        *declared("Content-Type: application/json; charset=utf-7"),
        *declared("Content-Type: application/json; charset=bogus"),
        *declared("Content-Type: application/json; charset=latin-1"),
    ],
    33: [
        *declared(JSON, "Content-Encoding: gzip", body=gzip.compress(b"{}")),
        *declared(JSON, "Content-Encoding: gzip"),
        *declared(JSON, "Content-Encoding: zzz"),
        *declared(JSON, "Content-Encoding: br"),
        Case(request=uploaded(zlib.compress(edit(IMAGE)), "Content-Encoding: deflate")),
    ],
}

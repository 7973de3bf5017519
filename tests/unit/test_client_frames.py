"""Server-sent events and lines survive any cut, and follow WHATWG's rules."""

import pytest

from service.client.frames import Frame, Frames, SplitLines

STREAM = (
    "\ufeffretry: 1500\n\n"
    ": still here\n\n"
    "id: 1-0\n\n"
    'event: job.queued\nid: 1-1\ndata: {"prompt":\ndata: "Füchse 🦊"}\n\n'
    "event: job.started\r\nid:1-2\r\ndata:{}\r\n\r\n"
    "data: of the usual type\rid: 2-0\r\r"
    "id: 3-0\ndata: cut off"
).encode()  # fmt: skip
FRAMES = [
    Frame("job.queued", '{"prompt":\n"Füchse 🦊"}', "1-1"),
    Frame("job.started", "{}", "1-2"),
    Frame("", "of the usual type", "2-0"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_events_are_the_same_however_the_bytes_were_cut(size: int):
    frames = Frames()

    told = [
        frame
        for at in range(0, len(STREAM), size)
        for frame in frames.feed(STREAM[at : at + size])
    ]

    assert told == FRAMES
    assert (frames.last_id, frames.retry_s) == ("2-0", 1.5)


def test_an_id_without_data_is_where_to_go_on():
    frames = Frames("1-0")

    assert list(frames.feed(b"id: 2-0\n\nid: 3-0\n")) == []
    assert frames.last_id == "2-0"


def test_a_wrong_id_or_retry_is_passed_over():
    frames = Frames("1-0")

    list(frames.feed("id: 2\0\nretry: soon\nretry: ²\ncolor: red\n\n".encode()))

    assert (frames.last_id, frames.retry_s) == ("1-0", 0.0)


def test_a_long_line_comes_in_many_pieces():
    lines = SplitLines()

    assert [lines.feed(b"x" * 1000) for _ in range(100)] == [[]] * 100
    assert lines.feed(b"\nrest") == [b"x" * 100_000]
    assert lines.feed(b"\r") == []
    assert lines.feed(b"\n") == [b"rest"]

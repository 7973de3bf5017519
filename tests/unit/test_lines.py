"""Lines out of pieces."""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import LineTooLong
from service.files.lines import LONGEST_LINE, lines_in


async def lines(*pieces: bytes) -> list[tuple[int, bytes]]:
    async def come() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return [tuple(line) async for line in lines_in(come())]


@given(st.text(alphabet="a \r\n", max_size=40), st.lists(st.integers(0, 40)))
async def test_where_a_text_is_cut_does_not_matter(text: str, cuts: list[int]):
    data = text.encode()
    marks = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(marks)]
    numbered = enumerate(data.split(b"\n"), start=1)
    whole = [(number, line.removesuffix(b"\r")) for number, line in numbered]

    assert await lines(*pieces) == [(n, d) for n, d in whole if d.strip()]


async def test_a_mark_before_the_first_line_is_no_part_of_it():
    mark = b"\xef\xbb\xbf"

    assert await lines(mark[:2], mark[2:] + b"{}\n", mark + b"{}") == [
        (1, b"{}"),
        (2, mark + b"{}"),
    ]
    assert await lines(mark + b"\r\n", b"a") == [(2, b"a")]


async def test_line_may_be_as_long_as_allowed_and_no_longer():
    longest = b"x" * LONGEST_LINE

    taken = await lines(b"{}\n", longest[:-1], b"x\r", b"\n{}")
    with pytest.raises(LineTooLong, match=r"line 2 has more than 8,388,608 bytes"):
        await lines(b"{}\n", longest, b"x\n{}")

    assert taken == [(1, b"{}"), (2, longest), (3, b"{}")]

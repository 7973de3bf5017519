"""Prompts come out of files byte by byte as they stand there, or with a reason."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core.errors import InvalidRequest
from service.core.prompts import Shape, read_prompts, shape_of

PARTI = Path(__file__).parents[1] / "data" / "partiprompts.tsv"


def prompts(content: bytes, shape: Shape) -> list[str]:
    lines = read_prompts(content, shape)
    assert [line.problem for line in lines] == [None] * len(lines)
    return [line.prompt for line in lines]


def problems(content: bytes, shape: Shape) -> dict[int, str]:
    lines = read_prompts(content, shape)
    return {line.number: line.problem for line in lines if line.problem is not None}


def test_all_real_prompts_are_byte_equal():
    content = PARTI.read_bytes()

    lines = read_prompts(content, Shape.TSV)

    rows = content.split(b"\n")[1:-1]
    assert len(lines) == 1632
    assert [line.prompt.encode() for line in lines] == [r.split(b"\t")[0] for r in rows]
    assert [line.number for line in lines] == list(range(2, 1634))
    assert all(line.problem is None for line in lines)


def test_quotes_in_tsv_are_part_of_the_text():
    content = b'Prompt\tNote\n"open\t1\nsay ""hi"" \t2\n'

    assert prompts(content, Shape.TSV) == ['"open', 'say ""hi"" ']


def test_the_prompt_column_is_found_by_its_name():
    content = b"id,PROMPT,note\n7,a fox,x\n"

    assert prompts(content, Shape.CSV) == ["a fox"]


@pytest.mark.parametrize("shape", [Shape.TSV, Shape.CSV])
def test_without_a_header_the_first_column_counts_from_the_first_line(shape: Shape):
    separator = b"\t" if shape is Shape.TSV else b","

    content = separator.join([b"a fox", b"x"]) + b"\n" + b"an owl\n"

    assert prompts(content, shape) == ["a fox", "an owl"]


def test_csv_fields_may_hold_commas_quotes_and_line_ends():
    content = b'prompt\n"a, ""b""\nc"\nlast\n'

    lines = read_prompts(content, Shape.CSV)

    assert [(line.number, line.prompt) for line in lines] == [
        (2, 'a, "b"\nc'),
        (4, "last"),
    ]


def test_a_quote_that_is_never_closed_stops_the_csv_with_its_line():
    with pytest.raises(InvalidRequest, match="line 3 is not valid CSV"):
        read_prompts(b'prompt\nfine\n"open\nlost\n', Shape.CSV)


def test_json_lines_are_strings_or_objects_with_further_fields():
    content = '"a fox"\n{"prompt": "ein Fuchs 🦊", "n": 2}\n'.encode()

    fox, fuchs = read_prompts(content, Shape.JSONL)

    assert (fox.prompt, dict(fox.fields)) == ("a fox", {})
    assert (fuchs.prompt, dict(fuchs.fields)) == ("ein Fuchs 🦊", {"n": 2})


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"prompt": "a', "it is not JSON"),
        (b"[1]", "it is neither a string nor an object with a `prompt`"),
        (b'{"prompt": 5}', "it is neither a string nor an object with a `prompt`"),
        (b'{"model": "x"}', "it is neither a string nor an object with a `prompt`"),
        (b'" "', "its prompt is empty"),
        (b'"\\ud800"', "it is not valid UTF-8"),
        (b'{"prompt": "a", "user": "\\ud800"}', "it is not valid UTF-8"),
        (b'{"prompt": "a", "seed": NaN}', "it holds a number that is none"),
    ],
)
def test_a_bad_json_line_is_reported_with_its_number(line: bytes, problem: str):
    found = problems(b'"fine"\n' + line + b'\n"fine too"\n', Shape.JSONL)

    assert list(found) == [2]
    assert found[2].startswith(problem)


def test_a_row_without_the_prompt_column_is_reported():
    found = problems(b"id\tprompt\n1\ta fox\n2\n3\t \n", Shape.TSV)

    assert found == {3: "it has no prompt column", 4: "its prompt is empty"}


def test_bytes_that_are_no_utf8_are_reported_and_harm_no_other_line():
    lines = read_prompts(b"a fox\nb\xffd\nan owl\n", Shape.LINES)

    assert [line.prompt for line in lines] == ["a fox", "b?d", "an owl"]
    assert [line.problem for line in lines] == [None, "it is not valid UTF-8", None]


def test_plain_lines_keep_their_spaces_and_lose_their_line_ends():
    content = "\ufeff a fox \r\n\r\n  \nan\u2028owl\x0bat night\nlast".encode()

    lines = read_prompts(content, Shape.LINES)

    assert [(line.number, line.prompt) for line in lines] == [
        (1, " a fox "),
        (4, "an\u2028owl\x0bat night"),
        (5, "last"),
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf16_is_named_as_such(encoding: str):
    content = "\ufeffa fox".encode(encoding)

    with pytest.raises(InvalidRequest, match="UTF-16"):
        read_prompts(content, Shape.LINES)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("p.tsv", Shape.TSV),
        ("P.CSV", Shape.CSV),
        ("p.ndjson", Shape.JSONL),
        ("p.jsonl", Shape.JSONL),
        ("p.txt", Shape.LINES),
        ("prompts", Shape.LINES),
        ("-", Shape.LINES),
    ],
)
def test_the_name_tells_the_shape(name: str, shape: Shape):
    assert shape_of(name) is shape


@pytest.mark.parametrize("shape", [Shape.TSV, Shape.CSV])
def test_a_column_that_looks_like_a_wish_is_not_passed_over(shape: Shape):
    mark = "\t" if shape is Shape.TSV else ","
    content = f"prompt{mark}size\na fox{mark}64x64\n".encode()

    with pytest.raises(InvalidRequest, match="column size"):
        read_prompts(content, shape)


@given(st.binary(max_size=200), st.sampled_from(Shape))
@example(b"[" * 100_000, Shape.JSONL)
@example(b'{"prompt":"a","metadata":' + b"[" * 900 + b"]" * 900 + b"}", Shape.JSONL)
@example(b"9" * 5000, Shape.JSONL)
@example(b'"' * 200_001, Shape.CSV)
def test_whatever_a_file_holds_is_read_or_has_a_reason(content: bytes, shape: Shape):
    with contextlib.suppress(InvalidRequest):
        lines = read_prompts(content, shape)

        numbers = [line.number for line in lines]
        assert numbers == sorted(numbers)
        for line in lines:
            line.prompt.encode()
            assert line.problem or line.prompt.strip()


texts = st.text(st.characters(codec="utf-8")).filter(str.strip)


@given(st.lists(texts, max_size=5))
def test_every_prompt_comes_back_from_json_lines(said: list[str]):
    content = "\n".join(json.dumps(text, ensure_ascii=False) for text in said)

    assert prompts(content.encode(), Shape.JSONL) == said

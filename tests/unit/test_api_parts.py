"""Forms as bytes come in, strictly."""

import contextlib
import itertools
from email.message import EmailMessage

import pytest
from aiohttp import FormData
from hypothesis import given
from hypothesis import strategies as st

from service.api.parts import PartEnd, PartHead, PartsParser
from service.core.errors import InvalidRequest

TYPE = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
END = b"\r\n--b--\r\n"

Part = tuple[str, bool, bytes]


def parsed(
    body: bytes, *, content_type: str = TYPE, cuts: list[int] = ()
) -> list[Part]:
    """Return name, whether it is a file, and content of each part."""
    parser, parts = PartsParser(content_type), []
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in itertools.pairwise(edges):
        for event in parser.feed(body[start:end]):
            match event:
                case PartHead(name, is_file):
                    parts.append((name, is_file, b""))
                case bytes():
                    parts[-1] = (*parts[-1][:2], parts[-1][2] + event)
                case PartEnd():
                    parts.append(("", False, b""))
                    parts.pop()
    parser.finish()
    return parts


def refused(body: bytes, content_type: str = TYPE) -> str:
    with pytest.raises(InvalidRequest) as refusal:
        parsed(body, content_type=content_type)
    assert refusal.value.code == "invalid_multipart"
    return str(refusal.value)


def headed(*lines: str, content: bytes = b"x", charset: str = "utf-8") -> bytes:
    head = "\r\n".join(lines).encode(charset)
    return b"--b\r\n" + head + b"\r\n\r\n" + content + END


@given(
    contents=st.lists(st.binary(max_size=200), max_size=5),
    cuts=st.lists(st.integers(0, 1500), max_size=20),
)
def test_parts_come_whole_wherever_the_network_cuts(contents, cuts):
    body = b"".join(PART + content + b"\r\n" for content in contents) + b"--b--\r\n"
    if any(b"\r\n--b" in PART[-2:] + content + b"\r\n" for content in contents):
        return

    assert parsed(body, cuts=cuts) == [("a", False, content) for content in contents]


@given(st.lists(st.integers(0, 100), max_size=10))
def test_what_looks_like_a_boundary_and_is_none_is_content(cuts):
    content = b"\r\n--\r\n-b\r\n\r--b\n--b--\r\n--\r\n\r"

    assert parsed(PART + content + END, cuts=cuts) == [("a", False, content)]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_garbage_is_refused_in_our_words(body, cuts):
    with contextlib.suppress(InvalidRequest):
        parsed(body, cuts=cuts)


@given(st.binary(max_size=300))
def test_garbage_behind_a_good_start_is_refused_in_our_words(rest):
    with contextlib.suppress(InvalidRequest):
        parsed(PART + rest)


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; name="image"; filename="x.png"',
        "form-data; name=image; filename=x.png",
        'form-data; filename="x.png"; name="image"',
        'form-data; name="image"; filename="../../etc/passwd"',
        'form-data; name="image"; filename="a\x00b"',
        'form-data; name="image"; filename="\u202egnp.exe"',
        'form-data; name="image"; filename="a\\"; name=\\"b"',
        "form-data; name=\"image\"; filename*=utf-8''%e2%82%ac.png",
        f'form-data; name="image"; filename="{"x" * 5000}"',
        'form-data; name="image"; filename=""',
        'Form-Data ; NAME="image";FILENAME="x"',
        'form-data; name="image"; filename="C:\\dir\\"',
        'form-data; filename="C:\\dir\\"; name="image"',
        'form-data; filename="\\\\"; name="image"',
    ],
)
def test_the_name_of_a_file_is_nobodys_business(disposition):
    body = headed(f"Content-Disposition: {disposition}")

    assert parsed(body) == [("image", True, b"x")]


def test_the_name_of_a_file_may_be_in_any_encoding():
    body = headed(
        'Content-Disposition: form-data; name="image"; filename="größer.png"',
        charset="latin-1",
    )

    assert parsed(body) == [("image", True, b"x")]


def test_the_name_of_a_part_is_utf8():
    refused(headed('Content-Disposition: form-data; name="größe"', charset="latin-1"))


@pytest.mark.parametrize(
    ("content_type", "is_binary"),
    [
        ("image/png", True),
        ("application/octet-stream", True),
        ("text/plain; charset=utf-8", False),
    ],
)
def test_a_part_without_a_filename_is_told_by_its_type(content_type, is_binary):
    body = headed(
        'Content-Disposition: form-data; name="a"', f"Content-Type: {content_type}"
    )

    head = next(PartsParser(TYPE).feed(body))

    assert head == PartHead("a", is_file=False, is_binary=is_binary)


@pytest.mark.parametrize("transfer", ["binary", "8bit", "7bit", "Binary"])
def test_transfer_encodings_that_change_nothing_pass(transfer):
    body = headed(
        'Content-Disposition: form-data; name="a"',
        f"Content-Transfer-Encoding: {transfer}",
    )

    assert parsed(body) == [("a", False, b"x")]


@pytest.mark.parametrize(
    "lines",
    [
        ['Content-Disposition: form-data; name="a"', "Content-Type: multipart/mixed"],
        [
            'Content-Disposition: form-data; name="a"',
            "Content-Transfer-Encoding: base64",
        ],
        ['Content-Disposition: form-data; name="a"', "Content-Transfer-Encoding: xyz"],
        ['Content-Disposition: form-data; name="a"', "A: b"] * 2,
        ['Content-Disposition: form-data; name="a"', *(f"A{i}: b" for i in range(200))],
        ['Content-Disposition: form-data; name="a"', " folded"],
        ['Content-Disposition: form-data; name="a"', "no colon"],
        ['Content-Disposition: form-data; name="a"', "A\x00: b"],
        ['Content-Disposition: form-data; name="a'],
        ['Content-Disposition: form-data; name="a"; name="b"'],
        ['Content-Disposition: form-data; name="a" b'],
        ['Content-Disposition: attachment; name="a"'],
        ["Content-Disposition: form-data"],
        ["Content-Type: image/png"],
        [],
    ],
)
def test_a_part_with_an_odd_head_is_refused(lines):
    refused(headed(*lines))


@pytest.mark.parametrize(("size", "fits"), [(8000, True), (9 * 1024, False)])
def test_the_head_of_a_part_has_a_limit(size, fits):
    body = headed('Content-Disposition: form-data; name="a"', f"A: {'x' * size}")

    if fits:
        assert parsed(body) == [("a", False, b"x")]
    else:
        refused(body)


@pytest.mark.parametrize("cut", [0, 3, 20, len(PART), len(PART + b"x") + 2, -4, -5])
def test_a_form_cut_short_is_none(cut):
    refused((PART + b"x" + END)[:cut])


@pytest.mark.parametrize("tail", [b"", b"\r\n", b"epilogue\r\n--b\r\nmore"])
def test_what_follows_the_end_is_ignored(tail):
    assert parsed(PART + b"x" + END[:-2] + tail) == [("a", False, b"x")]


def test_what_stands_before_the_first_boundary_is_ignored():
    assert parsed(b"preamble\r\n" + PART + b"x" + END) == [("a", False, b"x")]


def test_a_form_may_be_empty():
    assert parsed(b"--b--\r\n") == []


def test_a_boundary_with_something_behind_it_is_refused():
    refused(PART + b"x\r\n--bc" + END)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        f"multipart/form-data; boundary={'b' * 71}",
        'multipart/form-data; boundary="b "',
        "multipart/form-data; boundary=b; boundary=c",
        "multipart/form-data; boundary=ü",
        "multipart/form-data; boundary=b;;",
    ],
)
def test_a_boundary_is_one_to_seventy_plain_characters(content_type):
    refused(PART + b"x" + END, content_type)


@pytest.mark.parametrize("boundary", ["b" * 70, "a'()+_,-./:=?b", "a b"])
def test_every_legal_boundary_works(boundary):
    body = (PART + b"x" + END).replace(b"--b", b"--" + boundary.encode())

    got = parsed(body, content_type=f'multipart/form-data; boundary="{boundary}"')

    assert got == [("a", False, b"x")]


async def test_what_aiohttp_sends_is_understood():
    form = FormData()
    form.add_field("prompt", 'a "fox" und größer')
    form.add_field("image", b"\x00\r\n--\xff", filename="ü.png")
    writer, sent = form(), bytearray()

    class Stream:
        async def write(self, data: bytes) -> None:
            sent.extend(data)

    await writer.write(Stream())

    got = parsed(bytes(sent), content_type=writer.content_type)
    assert got == [
        ("prompt", False, 'a "fox" und größer'.encode()),
        ("image", True, b"\x00\r\n--\xff"),
    ]


def test_what_the_mail_package_writes_is_understood():
    message = EmailMessage()
    message.add_header("Content-Disposition", "form-data", name="a b")
    head = message.as_string().strip()

    assert parsed(headed(head)) == [("a b", False, b"x")]


@pytest.mark.parametrize(
    ("params", "filename"),
    [
        ('filename="a.jsonl"', "a.jsonl"),
        ('filename="größer.jsonl"', "größer.jsonl"),
        ("filename*=UTF-8''gr%C3%B6%C3%9Fer.jsonl", "größer.jsonl"),
        ("filename=a; filename*=utf-8'de'%C3%B6", "ö"),
        ("filename=a; filename*=latin-1''%F6", "a"),
        ("filename=a; filename*=nonsense", "a"),
        ("filename*=utf-8''%FF", "\ufffd"),
    ],
)
def test_name_of_a_file_is_read_in_the_charset_it_names(params: str, filename: str):
    body = headed(f'Content-Disposition: form-data; name="a"; {params}')

    head, *_ = PartsParser(TYPE).feed(body)

    assert (head.is_file, head.filename) == (True, filename)

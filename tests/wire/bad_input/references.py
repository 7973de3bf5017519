"""Rows 69 to 74: images that are links."""

import base64
from typing import Any

from tests.fakes.forms import Part
from tests.wire.bad_input.cases import (
    EDITS,
    Case,
    Rows,
    edit,
    get,
    post,
    posted,
    uploaded,
    with_fields,
)
from tests.wire.bad_input.house import House

LINK = "https://example.com/a.png"
NO_LINKS = (
    *("", "fox.png", "//example.com/fox.png", "ftp://example.com/fox.png"),
    *("file:///etc/passwd", "javascript:alert(1)", "https://example.com/\r\nHost: x"),
    *("https://example.com/ \0", f"https://example.com/{'x' * 2048}"),
)
INSIDE = (
    *("http://127.0.0.1:{port}/secret.png", "https://127.0.0.1:{port}/secret.png"),
    *("https://localhost:{port}/secret.png", "https://2130706433:{port}/secret.png"),
    *("https://127.1/secret.png", "https://[::ffff:127.0.0.1]/", "https://10.0.0.1/"),
    *("https://169.254.169.254/latest/", "https://[fd00:ec2::254]/", "https://["),
    *("https://10.0.0.1:22/", "https://no-such-host.invalid/", "https://"),
    *("https://a:b@127.0.0.1/", "https://example.com:99999/"),
)
UNREACHABLE = (
    *("404", "500", "hang", "drip", "cut", "away?to=http://10.0.0.1/"),
    *("away?to=http://[::1]:1/", "away?to=file:///etc/passwd"),
)
NO_IMAGES = (
    *("page.html", "drawing.svg", "paper.pdf", "nothing", "half.png", "moving.webp"),
)
SAID = "the link does not lead to an image that can be had"
"""Whatever became of it: nobody learns of our network by asking."""


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def drawn_from(*links: str) -> bytes:
    return posted(with_fields(operation="edit", images=[*links]))


def native(param: str, *links: str, **case: Any) -> Case:
    return Case(request=drawn_from(*links), param=param, **case)


def shown(references: str, **case: Any) -> Case:
    """Return an embed link with references."""
    target = f"/embed/image:test/test?key={{embed}}&prompt=a&references={references}"
    return Case(request=get(target, key=None), **case)


def inside(link: str) -> Case:
    """Return a case that asks the usual door for what lies inside."""

    def request(names: dict[str, str]) -> bytes:
        port = names["host"].rpartition(":")[2]
        return drawn_from(link.replace("{port}", port))

    return Case(request=request, param="images[0]", shows=(SAID,))


def second(name: str) -> Case:
    """Return a case with two links, of which the second leads to no image."""

    def request(names: dict[str, str]) -> bytes:
        return drawn_from(f"{names['host']}/fox.png", f"{names['host']}/{name}")

    return Case(request=request, param="images[1]", door="outward")


def hopeless(name: str) -> Case:
    """Return a case with one link, at the door that waits for little."""

    def request(names: dict[str, str]) -> bytes:
        return drawn_from(f"{names['host']}/{name}")

    return Case(request=request, param="images[0]", shows=(SAID,), door="hasty")


async def nobody_called(house: House) -> None:
    """The door that may not go inside has knocked nowhere."""
    assert "secret.png" not in house.host.seen


def edited(image: object) -> list[Case]:
    wanted = with_fields(image=image)
    return [
        Case(request=post(EDITS, wanted), param="image"),
        Case(request=posted({**wanted, "operation": "edit"}), param="image"),
    ]


ROWS: Rows = {
    69: [
        shown(
            ",".join(f"https://x/{i}" for i in range(17)),
            answer="400 too_many_references",
        ),
        native("images", *[LINK] * 17, answer="400 too_many_images"),
    ],
    70: [
        *(shown(links) for links in ("", ",,", "https://x/1,https://x/1")),
        shown("ftp://x/1"),
        *(native("images[0]", link) for link in NO_LINKS),
    ],
    71: [*map(inside, INSIDE), *map(hopeless, UNREACHABLE), nobody_called],
    72: [*map(second, NO_IMAGES)],
    73: [*map(second, ("more.png", "endless"))],
    74: [
        shown("data:image/png;base64,AAAA"),
        *edited("data:image/png;base64,%%%"),
        *edited("data:image/png;base64,AAA"),
        *edited("data:image/png,AAAA"),
        *edited(data_url(b"<html>", "text/html")),
        *edited(base64.b64encode(b"fox").decode()),
        *(
            Case(request=uploaded(edit(Part("image", link))), param="image")
            for link in ("/etc/passwd", "file:///etc/passwd")
        ),
    ],
}

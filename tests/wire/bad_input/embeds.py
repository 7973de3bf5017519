"""Rows 110 to 118: links to images, as they stand in pages."""

from tests.wire.bad_input.cases import Case, Rows, get, request
from tests.wire.bad_input.house import House

ROUTE = "/embed/image:test/test"
KEY = "key={embed}"


def look(query: str, *lines: str, answer: str | None = None) -> Case:
    """Return what a browser asks for; nothing that stands in the query is told."""
    target = f"{ROUTE}?{KEY}&{query}"
    return Case(
        request=get(target, *lines, key=None), answer=answer, hides=("utm_x", "zebra")
    )


def known(*lines: str, answer: str) -> Case:
    """Return a look at what is made already."""
    return look("prompt=known", *lines, answer=answer)


async def range_behind_the_end(house: House) -> None:
    whole = await house.hear(known(answer="200").request)
    size = len(whole.raw)

    said = await house.hear(known(f"Range: bytes={size}-", answer="").request)

    assert said.summary == "416 range_not_satisfiable"
    assert said.headers["Content-Range"] == f"bytes */{size}"


ROWS: Rows = {
    110: [
        Case(request=get(f"{ROUTE}?prompt=a", key=None), answer="401 missing_key"),
        look("", answer="400 missing_field"),
        look("prompt=", answer="400 missing_field"),
    ],
    111: [
        look("prompt=" + "x" * 7168, answer="400 uri_too_long"),
        look("prompt=" + "x" * 9000, answer="400 uri_too_long closes"),
        Case(request=get(f"/{'x' * 9000}"), answer="400 uri_too_long closes"),
    ],
    112: [
        look(f"prompt={prompt}")
        for prompt in ("%ff", "zebra%ff", "%zz", "100%", "%00", "%ed%a0%80")
    ],
    113: [
        look("prompt=a&prompt=b"),
        look("prompt[]=a"),
        look("prompt%5B%5D=a"),
        Case(request=get("/v1/jobs?limit=1&limit=2")),
    ],
    114: [
        look("prompt=a&utm_x=1"),
        look("prompt=a&Prompt=b"),
        Case(request=get("/v1/jobs?colour=red")),
    ],
    115: [
        Case(request=request("HEAD", f"{ROUTE}?{KEY}&prompt=unknown", key=None)),
    ],
    116: [
        *(
            known(f"Range: {asked}", answer="200")
            for asked in ("bytes=0-1,3-4", "bytes=9-2", "bytes=-", "bytes=a-b", "x", "")
        ),
        known('If-None-Match: garbage, "x', answer="200"),
        known("If-None-Match: *", answer="304"),
        known("Range: bytes=0-9", answer="206"),
        known("Range: bytes=0-9", 'If-Range: "other"', answer="200"),
        range_behind_the_end,
    ],
    117: [known("Accept: text/html", answer="200")],
    118: [
        *(
            Case(
                request=request(method, f"{ROUTE}?{KEY}&prompt=a", key=None),
                answer="405 method_not_allowed",
            )
            for method in ("POST", "PUT", "DELETE", "TRACE")
        ),
        Case(request=request("PUT", "/v1/jobs"), answer="405 method_not_allowed"),
        Case(request=request("TRACE", "/v1/jobs"), answer="405 method_not_allowed"),
        Case(request=get("/v1/images/generations"), answer="405 method_not_allowed"),
        Case(request=request("CONNECT", "x.example:443"), answer="404 not_found"),
    ],
}

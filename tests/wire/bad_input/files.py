"""Rows 119 to 124: signed URLs, secrets, and deliveries of others."""

from collections.abc import Callable

from tests.wire.bad_input.cases import Case, Rows, get, post, posted, with_fields
from tests.wire.bad_input.house import HOOK

SECRETS = (
    "whsec_" + "QUJD" * 5,  # 15 bytes
    "whsec_" + "QUJD" * 22,  # 66 bytes
    "whsec_no-base64-of-the-standard-alphabet_",
    "QUJD" * 8,
    "whsec_",
    "whsec_ä",
)
PATHS = (
    *("../secret", "..%2fsecret", "%252e%252e/secret", "%2e%2e%2fsecret", "jobs/%00"),
    *("a" * 5000, ".hidden", "jobs//0", "/etc/passwd", "jobs%5c..%5cx"),
)


def changed(change: Callable[[str], str]) -> Case:
    """Return a look at a signed URL that somebody has changed."""

    def request(names: dict[str, str]) -> bytes:
        assert change(names["image"]) != names["image"]
        return get(change(names["image"]), key=None)

    return Case(request=request)


def ending(text: str) -> Case:
    """Return a look at a signed URL with another end."""

    def change(url: str) -> str:
        start, _, rest = url.partition("exp=")
        return f"{start}exp={text}&{rest.partition('&')[2]}"

    return changed(change)


def last_turned(url: str) -> str:
    return url[:-2] + ("AA" if url[-2:] != "AA" else "BB")


def turned(url: str) -> str:
    """The same parameters the other way round."""
    path, _, query = url.partition("?")
    return f"{path}?{'&'.join(reversed(query.split('&')))}"


ROWS: Rows = {
    119: [Case(request=get("{stale}", key=None))],
    120: [
        changed(lambda url: url.partition("?")[0]),
        changed(lambda url: f"{url}&x=1"),
        changed(lambda url: f"{url}&{url.partition('?')[2]}"),
        changed(lambda url: url.replace("/0?", "/1?")),
        changed(last_turned),
        changed(turned),
    ],
    121: [
        ending(text)
        for text in ("-1", "1.5", "1" + "0" * 30, "0x7fffffff", "", "+1", "01")
    ],
    122: [
        *(Case(request=get(f"/images/{path}?exp=1", key=None)) for path in PATHS),
        changed(lambda url: url.replace("jobs/", "jobs%2F")),
        changed(lambda url: url.replace("jobs/", "jobs/../jobs/")),
    ],
    123: [
        Case(request=one)
        for secret in SECRETS
        for one in (
            post("/v1/endpoints", {"url": HOOK, "secret": secret}),
            post("/v1/endpoints/{endpoint}/rotate", {"secret": secret}),
            posted(with_fields(webhook={"url": HOOK, "secret": secret})),
        )
    ],
    124: [
        Case(request=post(f"/v1/deliveries/{name}/redeliver", None))
        for name in ("dlv_unknown", "{foreign_delivery}", "%00", "..%2F", "x" * 500)
    ],
}

"""Numbers and times as people read them; templates know each by its name here."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_DASH = "\N{EN DASH}"
_KIB = 1024
_CENT = 0.01


def ago(at_s: float | None) -> str:
    """Return how long ago that was, such as `3 min ago`; seconds since 1970."""
    if at_s is None:
        return _DASH
    passed_s = max(0, int(datetime.now(UTC).timestamp() - at_s))
    if passed_s < 5:  # noqa: PLR2004 - as app.js counts on
        return "just now"
    return f"{span(passed_s)} ago"


def span(seconds: float) -> str:
    """Return a duration in its largest unit, such as `3 min`."""
    for unit_s, name in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= unit_s:
            return f"{int(seconds // unit_s)} {name}"
    return f"{int(seconds)} s"


def took(ms: float | None) -> str:
    """Return a measured time, such as `840 ms` or `12.4 s`."""
    if ms is None:
        return _DASH
    if ms < 1000:  # noqa: PLR2004 - a second
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else span(seconds)


def exact(at_s: float | None) -> str:
    """Return the time itself, in UTC."""
    if at_s is None:
        return ""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(at_s: float) -> str:
    """Return the time as `<time datetime>` wants it."""
    return datetime.fromtimestamp(at_s, UTC).isoformat()


def usd(amount: float | None) -> str:
    """Return US dollars: cents where they say enough, else what there is."""
    if amount is None:
        return _DASH
    if amount == 0:
        return "$0"
    if amount < _CENT:
        return f"${amount:.4f}".rstrip("0")
    return f"${amount:,.3f}" if amount < 1 else f"${amount:,.2f}"


def count(number: float | None) -> str:
    """Return a whole number with its thousands apart."""
    return _DASH if number is None else f"{number:,.0f}"


def size(number: int) -> str:
    """Return a number of bytes, such as `1.4 MB`."""
    amount = float(number)
    for unit in ("B", "KB", "MB"):
        if amount < _KIB:
            return f"{amount:.0f} {unit}" if unit != "MB" else f"{amount:.1f} MB"
        amount /= _KIB
    return f"{amount:.1f} GB"


def ordinal(number: int) -> str:
    """Return `1st`, `2nd`, `3rd` and so on."""
    tens, ones = divmod(number % 100, 10)
    ending = "th" if tens == 1 else {1: "st", 2: "nd", 3: "rd"}.get(ones, "th")
    return f"{number:,}{ending}"


def plural(number: float, one: str, many: str | None = None) -> str:
    """Return `1 image` or `2 images`."""
    return f"{number:,.0f} {one if number == 1 else many or one + 's'}"


FILTERS: Mapping[str, Callable[..., str]] = {
    word.__name__: word
    for word in (ago, span, took, exact, iso, usd, count, size, ordinal, plural)
}

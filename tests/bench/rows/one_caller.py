"""How long one caller waits for one image, where nobody else wants any."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.bench.figures import Contenders, Effort, Goal, Row, Sample
from tests.bench.rows._studios import LITELLM, Studio
from tests.bench.rows.images import SMALL, studios, turns

_SECONDS = 3.0


@contextmanager
def _contenders() -> Iterator[Contenders]:
    with studios() as opened:
        yield {name: partial(_waited, *it) for name, *it in turns(opened)}


def _waited(studio: Studio, wishes: dict[str, str], effort: Effort) -> Sample:
    seconds = _SECONDS * effort.scale
    return studio.make(SMALL, seconds=seconds, callers=1, **wishes)


ONE_CALLER = Row(
    name="one-caller",
    title="One caller, one image after the other",
    about=(
        f"As `images`: a PNG of {SMALL} from an upstream that answers in an instant, "
        "from the first byte of the request to the last of the answer."
    ),
    figure="p50 ms",
    more_is_better=False,
    contenders=_contenders,
    goals=(Goal(rivals=LITELLM, reach=0.4, aim=0.25),),
)

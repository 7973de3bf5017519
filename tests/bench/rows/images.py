"""How many images a second go through the whole pipeline, and what one costs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from tests.bench.figures import Contenders, Effort, Goal, Row, Sample
from tests.bench.pngs import PICTURES
from tests.bench.rows._studios import (
    LITELLM,
    Studio,
    darkroom_studio,
    litellm_studio,
    upstream,
)

SMALL, *LARGE = PICTURES
_SECONDS = 3.0
_SHORT_S = 1.5
_CALLERS = 16
_OTHER_CALLERS = (1, 64)
_BEYOND = "CPU ms beyond a decode"


@contextmanager
def studios() -> Iterator[dict[str, Studio]]:
    """Open all, who stay open for all turns: LiteLLM takes ten seconds to start."""
    with ExitStack() as stack:
        url = stack.enter_context(upstream())
        opened = {"Darkroom": stack.enter_context(darkroom_studio(url))}
        for workers, name in enumerate(LITELLM, 1):
            opened[name] = stack.enter_context(litellm_studio(url, workers=workers))
        for studio in opened.values():
            studio.warm_up()
        yield opened


def turns(opened: dict[str, Studio]) -> Iterator[tuple[str, Studio, dict[str, str]]]:
    """Yield who is measured, by which name, and what it is asked for beside.

    LiteLLM passes on what it is given, which is base64.
    """
    ours, *theirs = opened.items()
    name, studio = ours
    yield name, studio, {"response_format": "b64_json"}
    yield f"{name}, links", studio, {"response_format": "url"}
    for name, studio in theirs:
        yield name, studio, {}


@contextmanager
def _small() -> Iterator[Contenders]:
    with studios() as opened:
        yield {name: partial(_made, *it) for name, *it in turns(opened)}


def _made(studio: Studio, wishes: dict[str, str], effort: Effort) -> Sample:
    seconds = _SECONDS * effort.scale
    return studio.make(SMALL, seconds=seconds, callers=_CALLERS, **wishes)


@contextmanager
def _matrix() -> Iterator[Contenders]:
    with studios() as opened:
        yield {
            f"{picture}: {name}": partial(_made_by_all, picture, *it)
            for picture in PICTURES
            for name, *it in turns(opened)
        }


def _made_by_all(
    picture: str, studio: Studio, wishes: dict[str, str], effort: Effort
) -> Sample:
    make = partial(studio.make, picture, seconds=_SHORT_S * effort.scale, **wishes)
    seen = make(callers=_CALLERS)
    cost_ms, decode_ms = seen["CPU ms per image"], PICTURES[picture].decode_ms()
    return {
        **{f: seen[f] for f in ("images/s", "p50 ms", "CPU ms per image")},
        "a decode ms": decode_ms,
        _BEYOND: cost_ms - decode_ms,
        **{
            f"images/s, {callers} callers": make(callers=callers)["images/s"]
            for callers in _OTHER_CALLERS
        },
    }


IMAGES = Row(
    name="images",
    title="Images through the whole pipeline",
    about=(
        f"{_CALLERS} callers, `POST /v1/images/generations`, each waiting for a PNG of "
        f"{SMALL} that an upstream answers with in an instant. Ours is one front door, "
        "one worker with two decoders, and a Valkey with AOF everysec: it "
        "authenticates, validates, reserves quota, records, decodes every image in "
        "full, and has it and its receipt on the disk (fsync) before it answers, with "
        "base64 or a signed link. LiteLLM's proxy authenticates and passes on; no "
        "database, no callbacks. CPU is that of all processes, Valkey's too."
    ),
    figure="images/s",
    more_is_better=True,
    contenders=_small,
    goals=(
        Goal(rivals=LITELLM, reach=4, aim=8),
        Goal(
            rivals=LITELLM,
            reach=0.25,
            figure="CPU ms per image",
            more_is_better=False,
        ),
    ),
)

MATRIX = Row(
    name="images-matrix",
    title="Images by size, form and callers",
    about=(
        f"As above, in shorter runs, with {_CALLERS} callers unless said otherwise. "
        "`a decode` is Pillow's own for that PNG, measured between these runs; ours "
        "decodes every image in full, LiteLLM none."
    ),
    figure="images/s",
    more_is_better=True,
    contenders=_matrix,
    goals=tuple(
        Goal(
            rivals=(),
            reach=2.5,
            figure=_BEYOND,
            more_is_better=False,
            ours=f"{picture}: Darkroom",
        )
        for picture in LARGE
    ),
)

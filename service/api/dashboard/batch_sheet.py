"""A sheet of prompts on its way to a batch: what is in it, what is wrong, the price.

Lines nobody could make an image of are left out and named; the others are written as
the lines of OpenAI's batch files, so that a batch can begin from the file they make.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from service.accounts import ApiKey
from service.api.context import Front
from service.core.errors import InvalidRequest, RequestError
from service.core.prompts import Line, Shape, read_prompts, shape_of
from service.intake.compose import Composed, compose
from service.intake.spool import Spool

ENDPOINT = "/v1/images/generations"

_FIRST = 10
_MOST_NAMED = 20
_LOOKED_AT = 2000
"""Of more lines the price is that of these, and the batch itself checks the rest."""
_TURN_S = 0.005


class Bad(NamedTuple):
    """A line that is left out, and why."""

    number: int
    prompt: str
    reason: str


class First(NamedTuple):
    """A line as it will be asked for."""

    number: int
    prompt: str
    model: str
    size: str
    n: int


class Sheet(NamedTuple):
    """What a sheet comes to.

    Attributes:
        content: Its sound lines, as a batch file has them.
        total: How many they are.
        images: How many those ask for.
        first: The first ten.
        bad: The first twenty of those that are left out.
        left_out: How many those are.
        usd: What the whole costs; None: the catalog does not say.
        is_exact: Whether all lines were looked at.
    """

    content: bytes
    total: int
    images: int
    first: Sequence[First]
    bad: Sequence[Bad]
    left_out: int
    usd: float | None
    is_exact: bool


async def read_sheet(
    front: Front,
    key: ApiKey,
    content: bytes,
    *,
    filename: str,
    options: Mapping[str, Any],
) -> Sheet:
    """Read prompts from plain lines, TSV, CSV or JSONL, as the file's name says.

    Args:
        front: Whose catalog it is held against.
        key: Who would ask.
        content: The sheet.
        filename: Empty: it was pasted.
        options: What all lines ask for that do not say otherwise themselves.

    Raises:
        InvalidRequest: It is none, or has too many lines.
    """
    shape = shape_of(filename)
    if not filename and content.lstrip().startswith(b"{"):
        shape = Shape.JSONL
    lines = await asyncio.to_thread(read_prompts, content, shape)
    most = front.settings.limits.batch_lines
    if len(lines) > most:
        raise InvalidRequest(
            f"there are more than {most:,} lines", code="too_many_lines"
        )
    return await _Reading(front, key, options).of(lines)


class _Reading:
    def __init__(self, front: Front, key: ApiKey, options: Mapping[str, Any]) -> None:
        self._front, self._key, self._options = front, key, options
        self._text = bytearray()
        self._bad: list[Bad] = []
        self._first: list[First] = []
        self._sound = self._left_out = self._looked_at = self._images = 0
        self._usd: float | None = 0.0

    async def of(self, lines: Sequence[Line]) -> Sheet:
        turn_ends = time.monotonic() + _TURN_S
        for line in lines:
            await self._take(line)
            if time.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.monotonic() + _TURN_S
        share = self._sound / self._looked_at if self._looked_at else 1.0
        return Sheet(
            content=bytes(self._text),
            total=self._sound,
            images=round(self._images * share),
            first=self._first,
            bad=self._bad,
            left_out=self._left_out,
            usd=None if self._usd is None else self._usd * share,
            is_exact=self._looked_at == self._sound,
        )

    async def _take(self, line: Line) -> None:
        problem, body = line.problem, dict[str, Any]()
        if problem is None:
            body = {**self._options, **line.fields, "prompt": line.prompt}
            if self._sound < _LOOKED_AT:
                problem = await self._look(line, body)
        if problem is not None:
            self._left_out += 1
            if len(self._bad) < _MOST_NAMED:
                self._bad.append(Bad(line.number, line.prompt, problem))
            return
        self._sound += 1
        call = {"custom_id": f"line-{line.number}", "method": "POST", "url": ENDPOINT}
        self._text += orjson.dumps(
            {**call, "body": body}, option=orjson.OPT_APPEND_NEWLINE
        )

    async def _look(self, line: Line, body: dict[str, Any]) -> str | None:
        """Count what the line comes to, or return what is wrong with it."""
        try:
            composed = await self._composed(body)
        except RequestError as exc:
            return str(exc)
        asked, price = composed.request, composed.price
        self._looked_at += 1
        self._images += asked.n
        if price is None or self._usd is None:
            self._usd = None
        else:
            self._usd += float(price.usd)
        if len(self._first) < _FIRST:
            self._first.append(
                First(line.number, line.prompt, asked.model, asked.size, asked.n)
            )
        return None

    async def _composed(self, body: dict[str, Any]) -> Composed:
        reader = self._front.acceptance.reader
        with contextlib.closing(Spool()) as spool:
            drafted = await reader.draft(body, endpoint=ENDPOINT, spool=spool)
            return compose(
                drafted.draft,
                key=self._key,
                catalog=self._front.catalog,
                operation=drafted.operation,
                uploads=drafted.uploads,
            )

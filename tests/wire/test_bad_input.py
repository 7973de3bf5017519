"""Every bad input of the catalogue gets its answer, and leaves nothing behind.

`tests/data/bad_input.toml` lists what there is, `bad_input/` what is sent: bytes on a
socket, so that a row may break HTTP as well. Behind each answer the connection serves
another request, unless the catalogue says that it closes.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fakes.valkey import Valkey
from tests.wire.bad_input import (
    embeds,
    fields,
    files,
    forms,
    http,
    images,
    jobs,
    json,
    keys,
    references,
    webhooks,
)
from tests.wire.bad_input.cases import Case, Row, catalogue
from tests.wire.bad_input.house import House, house

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTS = (
    *(keys, json, fields, webhooks, references, forms, images),
    *(jobs, embeds, files, http),
)
CATALOGUE = catalogue()
SENT = dict(itertools.chain.from_iterable(part.ROWS.items() for part in PARTS))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(
    shared_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    async with house(shared_valkey, folder) as opened:
        yield opened


async def test_every_row_of_the_catalogue_is_sent_once():
    sent = Counter(number for part in PARTS for number in part.ROWS)

    assert [row.number for row in CATALOGUE] == [*range(1, len(CATALOGUE) + 1)]
    assert len(CATALOGUE) >= 135
    assert sent == Counter(row.number for row in CATALOGUE)


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: f"{row.number}-{row.what}")
async def test_bad_input_is_answered_as_listed(row: Row, home: House):
    steps = SENT[row.number]
    cases = [step for step in steps if isinstance(step, Case)]
    stories = [step for step in steps if not isinstance(step, Case)]
    before = await home.traces()

    await asyncio.gather(*(home.holds(case, row) for case in cases))

    if not stories:
        assert {case.answer or row.answers[0] for case in cases} == {*row.answers}
    if not any(answer.startswith("2") for answer in row.answers):
        assert await home.is_untouched(before)
    for story in stories:
        await story(home)

"""Makes a batch of what is left of a file, or finds the one that is under way.

A batch is sent under a name that follows from the file, the options and the lines that
are left, so that a run that was killed at any point finds on the next one what it had
sent. What came back stands in the manifest, which knows which batch that was.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.cli.batch.bringing import OnEntry, Place, bring, bring_again
from service.cli.batch.entries import Entry, Sent
from service.cli.batch.manifest import Manifest
from service.cli.batch.progress import Progress, Tally, counting
from service.cli.failure import Failure
from service.client import AsyncDarkroom, Batch, BatchResult, NotFound
from service.core.prompts import Line

_WINDOW_S = 7 * 86_400
"""Lines that have not begun by then expire; it is a limit, not a wish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is common to all lines of a file.

    Attributes:
        fingerprint: Of the file's content and the options.
        fields: Request fields from the options; a line's own win.
    """

    fingerprint: str
    fields: Mapping[str, Any]

    def name(self, lines: Sequence[Line], after: str | None) -> str:
        """Return the `Idempotency-Key` of a batch of these lines.

        Args:
            lines: Of the file; which, their numbers say.
            after: The batch that was made of the file before.
        """
        said = [self.fingerprint, after, [line.number for line in lines]]
        return digest(json.dumps(said).encode())


class Upload:
    """Lines as they are sent, as often as need be."""

    def __init__(self, lines: Sequence[Line], plan: Plan) -> None:
        self._lines, self._plan = lines, plan

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Yield the request of each."""
        for line in self._lines:
            yield {**self._plan.fields, **line.fields, "prompt": line.prompt}


def digest(content: bytes) -> str:
    """Return what is equal for equal content, and for no other."""
    return hashlib.sha256(content).hexdigest()


async def send(
    client: AsyncDarkroom, lines: Sequence[Line], plan: Plan, after: str | None = None
) -> Batch:
    """Send lines as a batch, or find the one that was made of them.

    Args:
        client: Takes them.
        lines: Without problems.
        plan: What is common to them.
        after: The batch that was made of the file before.

    Raises:
        DarkroomError: It was refused, or no answer came.
        Failure: An option fits none of the lines.
    """
    batch = await client.submit_batch(
        Upload(lines, plan),
        window_s=_WINDOW_S,
        idempotency_key=plan.name(lines, after),
    )
    if batch.status == "failed":
        _stop_if_common(batch, lines, plan)
    return batch


async def run_batch(
    client: AsyncDarkroom,
    lines: Sequence[Line],
    *,
    plan: Plan,
    manifest: Manifest,
    progress: Progress,
) -> None:
    """Bring every line to an entry of the manifest.

    Raises:
        DarkroomError: Nothing further can be done now; a later run goes on from here.
        Failure: Likewise.
    """
    await bring_again(client, manifest=manifest, on_entry=lambda _: None)
    sent = await _under_way(client, manifest)
    if sent is None:
        sent = await _sent(client, lines, plan, manifest, say=progress.say)
    told = {None, sent.batch if sent else None}
    settled = [
        entry
        for entry in manifest.entries.values()
        if entry.batch in told or manifest.is_done(entry.line)
    ]
    on_entry = counting(Tally.of_entries(settled, total=len(lines)), progress)
    if sent is not None:
        await _follow(client, sent, lines, manifest, on_entry)


async def _under_way(client: AsyncDarkroom, manifest: Manifest) -> Sent | None:
    """Return the batch that was sent last, unless nothing more is to be had of it."""
    sent = manifest.sent
    if sent is None:
        return None
    try:
        batch = await client.batch(sent.batch)
    except NotFound:  # deleted, or of another front door
        return None
    if batch.is_final and manifest.taken(batch.id) >= len(sent.lines):
        return None
    return sent


async def _sent(
    client: AsyncDarkroom,
    lines: Sequence[Line],
    plan: Plan,
    manifest: Manifest,
    *,
    say: Callable[[str], None],
) -> Sent | None:
    left = [line for line in lines if not manifest.is_done(line.number)]
    for line in left:
        if line.problem is not None:
            manifest.add(_bad(line, line.problem))
    sound = [line for line in left if line.problem is None]
    if not sound:
        return None
    after = manifest.sent.batch if manifest.sent else None
    batch = await send(client, sound, plan, after)
    sent = Sent(batch.id, [line.number for line in sound])
    manifest.remember(sent)
    say(f"{batch.id} makes {len(sound):,} of them")
    return sent


async def _follow(
    client: AsyncDarkroom,
    sent: Sent,
    lines: Sequence[Line],
    manifest: Manifest,
    on_entry: OnEntry,
) -> None:
    prompts = {line.number: line.prompt for line in lines}

    def place_of(result: BatchResult) -> Place:
        number = sent.lines[result.line - 1]
        return Place(number, prompts[number])

    follow = functools.partial(
        bring,
        client,
        sent.batch,
        manifest=manifest,
        place_of=place_of,
        follow=True,
        on_entry=on_entry,
    )
    await follow(after=manifest.taken(sent.batch))
    if manifest.taken(sent.batch) < len(sent.lines):
        await follow(after=0)  # somebody took lines out of the manifest


def _bad(line: Line, problem: str) -> Entry:
    error = {"code": "bad_line", "message": problem}
    return Entry(line=line.number, prompt=line.prompt, images=[], error=error)


def _stop_if_common(batch: Batch, lines: Sequence[Line], plan: Plan) -> None:
    """Tell of an option that fits no line, before anything is written down of it."""
    for error in batch.errors.data[:1]:
        own = lines[error.line - 1].fields if error.line else {}
        if error.param in plan.fields.keys() - own.keys():
            raise Failure(f"{error.code}: {error.message}", exit_code=2)

"""How far a batch is, in numbers that a person can use."""

import pytest

from service.cli.batch.entries import Entry
from service.cli.batch.progress import PlainProgress, Tally
from service.client import Batch


def entry(*, images: int, cost: float | None) -> Entry:
    status = "succeeded" if images else "failed"
    return Entry(
        line=1, prompt="a", status=status, images=[{}] * images, error=None, cost=cost
    )


def test_entries_are_counted_and_the_whole_is_estimated():
    made = [entry(images=2, cost=0.08), entry(images=0, cost=None)]

    tally = Tally.of_entries(made, total=100)

    assert (tally.done, tally.failed, tally.images) == (2, 1, 2)
    assert tally.money == "$0.08 of about $4.00"


def test_what_is_over_or_free_is_not_estimated():
    done = Tally(total=2, done=2, cost=1234.5)

    assert done.money == "$1,234.50"
    assert Tally(total=2, done=1).money == ""


def test_a_batch_is_as_far_as_the_front_door_says():
    batch = Batch.of(
        {
            "id": "batch_1",
            "status": "in_progress",
            "request_counts": {"total": 9, "completed": 3, "failed": 1, "canceled": 2},
            "summary": {"images": 6, "cost": 0.5},
        }
    )

    assert Tally.of(batch) == Tally(total=9, done=6, failed=3, images=6, cost=0.5)


def test_the_report_is_one_line(capsys: pytest.CaptureFixture[str]):
    progress = PlainProgress()
    progress.show(Tally(total=1632, done=2))
    progress.show(Tally(total=1632, done=1632, failed=1, images=1631, cost=3.26))

    progress.report()

    said = capsys.readouterr().err
    assert said.startswith("1,632 of 1,632, 1 failed, ")
    assert said.endswith(" images/s, $3.26\n")

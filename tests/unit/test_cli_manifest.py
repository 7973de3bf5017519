"""The manifest of a batch survives kills, and knows what is left to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.cli.batch.entries import DOWNLOAD_FAILED, Entry, Sent
from service.cli.batch.manifest import Manifest
from service.cli.failure import Failure

IDENTITY = {"sha256": "abc", "options": {"model": "test/test"}}


def entry(line: int = 1, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "line": line,
        "prompt": "ein Fuchs 🦊",
        "job_id": f"job_{line}",
        "status": "succeeded",
        "images": [{"file": f"{line}.png", "sha256": "00"}],
        "error": None,
    }
    return Entry(**(fields | changes))


def failed(line: int = 1, code: str = "content_policy", **changes: Any) -> Entry:
    error = {"code": code, "message": "no"}
    return entry(line, status="failed", images=[], error=error, **changes)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "manifest.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_what_was_added_is_there_for_the_next_run(tmp_path: Path):
    with Manifest.opened(tmp_path, IDENTITY) as manifest:
        manifest.add(entry(1))
    (tmp_path / "1.png").touch()

    with Manifest.opened(tmp_path, IDENTITY) as again:
        assert again.entries == {1: entry(1)}
        assert again.is_done(1)
        assert not again.is_done(2)


def test_prompts_stand_there_as_they_are(tmp_path: Path):
    with Manifest.opened(tmp_path, IDENTITY) as manifest:
        manifest.add(entry(1))

    assert "ein Fuchs 🦊".encode() in (tmp_path / "manifest.jsonl").read_bytes()


def test_an_image_that_is_gone_is_fetched_again(tmp_path: Path):
    with Manifest.opened(tmp_path, IDENTITY) as manifest:
        manifest.add(entry(1))

        assert not manifest.is_done(1)
        assert manifest.entries[1].was_made


def test_half_a_line_at_the_end_is_dropped(tmp_path: Path):
    with Manifest.opened(tmp_path, IDENTITY) as manifest:
        manifest.add(entry(1))
    with (tmp_path / "manifest.jsonl").open("a") as file:
        file.write('{"line": 2, "prom')

    with Manifest.opened(tmp_path, IDENTITY) as again:
        again.add(entry(3))

    assert [line["line"] for line in lines_of(tmp_path)] == [1, 3]


def test_a_prompt_tried_again_keeps_its_last_line_only(tmp_path: Path):
    with Manifest.opened(tmp_path, IDENTITY) as manifest:
        manifest.add(failed(1))
        manifest.add(entry(2))
        manifest.add(entry(1, batch="batch_2"))
        assert len(lines_of(tmp_path)) == 3

    assert [(e["line"], e["status"]) for e in lines_of(tmp_path)] == [
        (1, "succeeded"),
        (2, "succeeded"),
    ]


def test_only_what_was_made_needs_no_more_than_to_be_fetched():
    assert failed(code=DOWNLOAD_FAILED).was_made
    assert not failed().was_made


def test_the_results_of_a_batch_go_on_behind_those_that_are_here(tmp_path: Path):
    with Manifest.opened(tmp_path, IDENTITY) as manifest:
        manifest.remember(Sent("batch_1", [1, 2]))
        manifest.add(failed(1, batch="batch_1"))
        manifest.add(entry(2, batch="batch_1"))
        manifest.remember(Sent("batch_2", [1]))

    with Manifest.opened(tmp_path, IDENTITY) as again:
        assert again.sent == Sent("batch_2", [1])
        assert again.taken("batch_2") == 0
        again.add(entry(1, batch="batch_2"))
        assert (again.taken("batch_1"), again.taken("batch_2")) == (1, 1)


def test_what_another_version_wrote_is_let_be(tmp_path: Path):
    with Manifest.opened(tmp_path, IDENTITY):
        pass
    stored = json.loads(entry(1).to_json()) | {"attempt": 2}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(stored) + "\n")

    with Manifest.opened(tmp_path, IDENTITY) as manifest:
        assert manifest.entries == {1: entry(1)}


def test_the_rest_of_a_longer_label_counts_for_nothing(tmp_path: Path):
    with Manifest.opened(tmp_path, IDENTITY) as manifest:
        manifest.remember(Sent("batch_1", list(range(100))))
        manifest.remember(Sent("batch_2", [7]))
    label = tmp_path / ".batch.json"
    label.write_bytes(label.read_bytes() + b"8, 9]}}")

    with Manifest.opened(tmp_path, IDENTITY) as again:
        assert again.sent == Sent("batch_2", [7])


def test_a_folder_with_results_of_something_else_is_refused(tmp_path: Path):
    with Manifest.opened(tmp_path, IDENTITY) as manifest:
        manifest.add(entry(1))

    with (
        pytest.raises(Failure, match="another file or of other options"),
        Manifest.opened(tmp_path, IDENTITY | {"sha256": "def"}),
    ):
        pass


def test_a_folder_without_results_takes_other_options(tmp_path: Path):
    with Manifest.opened(tmp_path, IDENTITY) as manifest:
        manifest.remember(Sent("batch_1", [1]))

    with Manifest.opened(tmp_path, IDENTITY | {"sha256": "def"}) as manifest:
        assert manifest.entries == {}
        assert manifest.sent is None


def test_two_runs_cannot_write_to_one_folder(tmp_path: Path):
    with (
        Manifest.opened(tmp_path, IDENTITY),
        pytest.raises(Failure, match="another batch"),
        Manifest.opened(tmp_path, IDENTITY),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()

    with (
        pytest.raises(Failure, match=r"cannot write .*: Not a directory"),
        Manifest.opened(tmp_path / "file" / "out", IDENTITY),
    ):
        pass

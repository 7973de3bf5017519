"""What a run says of a result folder when it is through."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from service.cli.failure import Failure
from service.cli.output import emit, say

if TYPE_CHECKING:
    from service.cli.batch.manifest import Manifest

_SHOWN_FAILURES = 10


def conclude(
    manifest: "Manifest",
    wanted: Sequence[int],
    *,
    total: int,
    more: Mapping[str, Any],
    remedy: str,
    json: bool,
) -> None:
    """Say what became of the lines `wanted`, of `total` in all.

    Raises:
        Failure: Some have failed.
    """
    entries = [manifest.entries[line] for line in wanted if line in manifest.entries]
    failed = [entry for entry in entries if not entry.succeeded]
    for entry in failed[:_SHOWN_FAILURES]:
        error = entry.error or {}
        say(f"line {entry.line}: {error.get('code')}: {error.get('message')}")
    if len(failed) > _SHOWN_FAILURES:
        say(f"... and {len(failed) - _SHOWN_FAILURES:,} more in {manifest.path}")
    succeeded = len(entries) - len(failed)
    missing = len(wanted) - succeeded
    if json:
        summary = {
            "batch": manifest.sent.batch if manifest.sent else None,
            "lines": total,
            "succeeded": succeeded,
            "failed": missing,
            "images": sum(len(entry.images) for entry in entries),
            "cost": sum(entry.cost or 0.0 for entry in entries),
            "manifest": str(manifest.path),
        }
        emit({**summary, **more})
    else:
        print(f"{succeeded:,} of {total:,} prompts have their images: {manifest.path}")
    if missing and all((e.error or {}).get("code") == "bad_line" for e in failed):
        raise Failure(
            f"{missing:,} failed",
            remedy="none of them is a prompt; put them right in a file of their own",
        )
    if missing:
        raise Failure(f"{missing:,} failed", remedy=remedy)

"""A batch as its owner sees it: OpenAI's object, and what we know beside it."""

from datetime import datetime
from typing import Any

from service.batches import Batch, BatchState
from service.files.records import FileKind, file_id_of

_ENDS = {
    BatchState.COMPLETED: "completed_at",
    BatchState.FAILED: "failed_at",
    BatchState.EXPIRED: "expired_at",
    BatchState.CANCELLED: "cancelled_at",
}
_OPENAI = {BatchState.EXPIRING: "finalizing"}


def shown_batch(batch: Batch, *, base_url: str) -> dict[str, Any]:
    """Return the batch object of both APIs; all times are whole seconds since 1970.

    Its files are there as soon as its lines begin; each reading brings what has been
    made by then.
    """
    link = f"{base_url}/v1/batches/{batch.id}"
    has_begun = batch.in_progress_at is not None
    has_failures = batch.failed + batch.canceled + batch.expired > 0
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": _errors(batch),
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": _OPENAI.get(batch.state, batch.state),
        "output_file_id": file_id_of(batch.id, FileKind.OUTPUT) if has_begun else None,
        "error_file_id": file_id_of(batch.id, FileKind.ERROR) if has_failures else None,
        "created_at": _seconds(batch.created_at),
        "in_progress_at": _seconds(batch.in_progress_at),
        "expires_at": _seconds(batch.expires_at),
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": _seconds(batch.cancelling_at),
        "cancelled_at": None,
        **_end(batch),
        "request_counts": {
            "total": batch.total,
            "completed": batch.completed,
            "failed": batch.failed,
            "canceled": batch.canceled,
            "expired": batch.expired,
        },
        "metadata": batch.metadata,
        "summary": {
            "images": batch.images,
            "cost": float(batch.cost_usd),
            "p50_ms": batch.ms_p50,
            "p95_ms": batch.ms_p95,
        },
        "retry_of": batch.retry_of,
        "links": {
            "self": link,
            "events": f"{link}/events",
            "results": f"{link}/results",
            "cancel": f"{link}/cancel",
        },
    }


def _end(batch: Batch) -> dict[str, int | None]:
    name = _ENDS.get(batch.state)
    return {} if name is None else {name: _seconds(batch.ended_at)}


def _errors(batch: Batch) -> dict[str, Any] | None:
    if not batch.errors:
        return None
    data = [
        {"code": e.code, "message": e.message, "param": e.param, "line": e.number}
        for e in batch.errors
    ]
    return {"object": "list", "data": data}


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())

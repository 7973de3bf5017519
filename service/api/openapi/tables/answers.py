"""Examples of answers; a test holds them to their shapes."""

from typing import Any

_BASE = "https://images.example.com"
_ID = "job_3v1ex9c7kd2m8q4s6t0w5y7z9a"
_LINK = f"{_BASE}/v1/jobs/{_ID}"
_SHA256 = "5b1d6b8b5f3c0a3d6e1c8f0a9b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c"

IMAGE: dict[str, Any] = {
    "url": f"{_BASE}/images/jobs/{_ID}/1/0?exp=1795274064&kid=8333f17e&sig=v0cXxYO...",
    "url_expires_at": 1795274064,
    "sha256": _SHA256,
    "width": 768,
    "height": 512,
    "content_type": "image/png",
    "bytes": 48213,
    "revised_prompt": None,
}

IMAGES = {
    "created": 1795270464,
    "data": [IMAGE],
    "size": "768x512",
    "requested_size": "768x512",
    "output_format": "png",
}

QUEUED: dict[str, Any] = {
    "id": _ID,
    "object": "image.job",
    "status": "queued",
    "progress": 0.0,
    "queue": {"position": None, "eta_s": None, "priority": "normal", "held": False},
    "created_at": 1795270460,
    "started_at": None,
    "completed_at": None,
    "expires_at": None,
    "request": {
        "operation": "generate",
        "model": "test/test",
        "prompt": "a lighthouse in fog",
        "n": 1,
        "size": "768x512",
        "requested_size": "768x512",
        "output_format": "png",
    },
    "result": None,
    "error": None,
    "attempts": [],
    "usage": None,
    "cost": None,
    "cost_source": None,
    "metadata": {},
    "alias": None,
    "retry_of": None,
    "batch_id": None,
    "custom_id": None,
    "links": {
        "self": _LINK,
        "events": f"{_LINK}/events",
        "cancel": f"{_LINK}/cancel",
    },
}

FILE = {
    "id": "file-7q2xk5m3nd4w6hcv2zr5tbyp3e",
    "object": "file",
    "bytes": 48213,
    "created_at": 1795270460,
    "expires_at": 1797862460,
    "filename": "requests.jsonl",
    "purpose": "batch",
    "status": "processed",
}

_BATCH_ID = "batch_5n8c1tq7w3kz0m4rj9xv2hd6ys"
_BATCH_LINK = f"{_BASE}/v1/batches/{_BATCH_ID}"

BATCH: dict[str, Any] = {
    "id": _BATCH_ID,
    "object": "batch",
    "endpoint": "/v1/images/generations",
    "errors": None,
    "input_file_id": "file-7q2xk5m3nd4w6hcv2zr5tbyp3e",
    "completion_window": "24h",
    "status": "validating",
    "output_file_id": None,
    "error_file_id": None,
    "created_at": 1795270460,
    "in_progress_at": None,
    "expires_at": 1795356860,
    "finalizing_at": None,
    "completed_at": None,
    "failed_at": None,
    "expired_at": None,
    "cancelling_at": None,
    "cancelled_at": None,
    "request_counts": {
        "total": 0,
        "completed": 0,
        "failed": 0,
        "canceled": 0,
        "expired": 0,
    },
    "metadata": {},
    "summary": {"images": 0, "cost": 0.0, "p50_ms": None, "p95_ms": None},
    "retry_of": None,
    "links": {
        "self": _BATCH_LINK,
        "events": f"{_BATCH_LINK}/events",
        "results": f"{_BATCH_LINK}/results",
        "cancel": f"{_BATCH_LINK}/cancel",
    },
}

DONE = {
    **QUEUED,
    "status": "succeeded",
    "progress": 1.0,
    "queue": None,
    "started_at": 1795270460,
    "completed_at": 1795270464,
    "expires_at": 1795875264,
    "result": {"created": 1795270464, "data": [IMAGE]},
    "attempts": [
        {
            "provider": "test",
            "provider_model": "test",
            "started_at": 1795270460,
            "ms": 3912,
            "outcome": "succeeded",
            "error_code": None,
            "upstream_id": None,
            "cost": 0.0,
            "cost_source": "reported",
            "billed": True,
        }
    ],
    "cost": 0.0,
    "cost_source": "reported",
}

ENDPOINT: dict[str, Any] = {
    "id": "ep_5b1d6b8b5f3c0a3d6e1c8f0a",
    "object": "endpoint",
    "url": "https://hooks.example.com/images",
    "events": ["job.succeeded", "job.failed"],
    "description": "the calendar",
    "status": "enabled",
    "disabled_reason": None,
    "disabled_at": None,
    "failing_since": None,
    "old_secret_until": None,
    "created_at": 1795270460,
}

ENDPOINT_WITH_SECRET = {
    **ENDPOINT,
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
}

DELIVERY: dict[str, Any] = {
    "id": "dlv_3v1ex9c7kd2m8q4s6t0w5y7z9a_succeeded_5b1d6b8b5f3c0a3d6e1c8f0a",
    "object": "delivery",
    "event_id": "evt_3v1ex9c7kd2m8q4s6t0w5y7z9a_succeeded",
    "type": "job.succeeded",
    "status": "delivered",
    "reason": None,
    "endpoint_id": "ep_5b1d6b8b5f3c0a3d6e1c8f0a",
    "url": None,
    "job_id": "job_3v1ex9c7kd2m8q4s6t0w5y7z9a",
    "batch_id": None,
    "attempts": 2,
    "created_at": 1795270464,
    "next_attempt_at": None,
    "completed_at": 1795270469,
}

DELIVERY_LOG = [
    {
        "n": 1,
        "at": 1795270464,
        "status": 502,
        "ms": 31,
        "error": "status",
        "answer": "bad gateway",
    },
    {"n": 2, "at": 1795270469, "status": 204, "ms": 18, "error": None, "answer": ""},
]

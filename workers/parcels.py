"""Leases and verdicts as lines of JSON, between a worker and its child."""

from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import orjson

from service.core.jobs import Attempt, JobId, JobState, StoredImage
from service.core.requests import Priority
from service.core.retries import OnAmbiguous
from service.job_store.lease import Kept, Lease
from service.job_store.outcomes import Aside, Later, Outcome


def lease_line(lease: Lease) -> bytes:
    """Return what `read_lease_line` reads."""
    told = {field.name: getattr(lease, field.name) for field in fields(lease)}
    return orjson.dumps(told | {"payload": lease.payload.decode()}) + b"\n"


def read_lease_line(line: bytes) -> Lease:
    """Return the lease; raises ValueError, KeyError or TypeError if it is none."""
    told: dict[str, Any] = orjson.loads(line)
    kept = told["kept"]
    return Lease(
        **told
        | {
            "job_id": JobId(told["job_id"]),
            "payload": told["payload"].encode(),
            "priority": Priority(told["priority"]),
            "kept": kept and Kept(kept["route"], tuple(kept["tasks"])),
            "routes": tuple(told["routes"]),
            "on_ambiguous": OnAmbiguous(told["on_ambiguous"]),
        }
    )


def verdict_line(verdict: Outcome | Later) -> bytes:
    """Return what `read_verdict` reads."""
    told = {field.name: getattr(verdict, field.name) for field in fields(verdict)}
    return orjson.dumps(told, default=_seconds) + b"\n"


def read_verdict(line: bytes) -> Outcome | Later:
    """Return the verdict that the line tells."""
    told: dict[str, Any] = orjson.loads(line)
    told["attempt"], told["aside"] = _attempt(told["attempt"]), _aside(told["aside"])
    if "wait" in told:
        told["wait"] = timedelta(seconds=told["wait"])
        told["closed"] = timedelta(seconds=told["closed"])
        return Later(**told | {"routes": tuple(told["routes"])})
    images = tuple(StoredImage(**image) for image in told["images"])
    return Outcome(**told | {"state": JobState(told["state"]), "images": images})


def _attempt(told: dict[str, Any]) -> Attempt:
    started = told["started_at"]
    at = None if started is None else datetime.fromisoformat(started)
    return Attempt(**told | {"started_at": at})


def _aside(told: dict[str, Any] | None) -> Aside | None:
    if told is None:
        return None
    return Aside(
        attempt=_attempt(told["attempt"]),
        report=told["report"],
        closed=timedelta(seconds=told["closed"]),
    )


def _seconds(value: object) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError

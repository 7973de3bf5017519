"""How a batch is written down, and read back."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import orjson

from service.batches.batch import BadLine, Batch, BatchKind, BatchState, NewBatch
from service.job_store.records import Webhook
from service.job_store.times import maybe_time_of, ms, time_of

_OTHER_COUNTS = ("images", "bad", "delays", "crashes")


def to_record(new: NewBatch) -> dict[str, str | bytes]:
    """Return the fields that are known from the beginning."""
    fields: dict[str, str | bytes | None] = {
        "account": new.account,
        "key_id": new.key_id,
        "kind": new.kind.value,
        "endpoint": new.endpoint,
        "completion_window": new.completion_window,
        "input_file": new.input_file_id,
        "metadata": orjson.dumps(new.metadata) if new.metadata else None,
        "retry_of": new.retry_of,
        "retry_code": new.retry_code,
    }
    if new.output_life is not None:
        fields["output_life_ms"] = str(ms(new.output_life))
    if new.webhook is not None:
        fields["webhook"] = new.webhook.to_record()
        fields["notify"] = " ".join(new.webhook.events)
    return {name: value for name, value in fields.items() if value is not None}


def read_pairs(batch_id: str, pairs: Sequence[bytes]) -> Batch:
    """Read a record's fields, as a script returns them."""
    return read_batch(batch_id, dict(zip(pairs[::2], pairs[1::2], strict=True)))


def read_batch(batch_id: str, stored: Mapping[bytes, bytes]) -> Batch:
    """Read a record's fields, as HGETALL gives them."""
    fields = {name.decode(): value for name, value in stored.items()}
    texts = {name: value.decode() for name, value in fields.items()}
    counts = ("total", "cursor", "completed", "failed", "canceled", "expired")
    p50, p95 = _percentiles(texts)
    return Batch(
        id=batch_id,
        account=texts["account"],
        key_id=texts["key_id"],
        kind=BatchKind(texts["kind"]),
        endpoint=texts["endpoint"],
        state=BatchState(texts["state"]),
        completion_window=texts["completion_window"],
        created_at=time_of(texts["created_ms"]),
        expires_at=time_of(texts["expires_ms"]),
        window=int(texts["window"]),
        **{name: int(texts.get(name, 0)) for name in (*counts, *_OTHER_COUNTS)},
        cost_usd=_dollars(int(texts.get("cost_micros", 0))),
        ms_p50=p50,
        ms_p95=p95,
        in_progress_at=maybe_time_of(texts.get("in_progress_ms")),
        cancelling_at=maybe_time_of(texts.get("cancelling_ms")),
        ended_at=maybe_time_of(texts.get("ended_ms")),
        forgotten_at=maybe_time_of(texts.get("forgotten_ms")),
        input_file_id=texts.get("input_file"),
        metadata=orjson.loads(fields.get("metadata", b"{}")),
        webhook=_webhook(texts),
        output_life=_life(texts.get("output_life_ms")),
        retry_of=texts.get("retry_of"),
        retry_code=texts.get("retry_code"),
        errors=tuple(BadLine(*e) for e in orjson.loads(fields.get("errors", b"[]"))),
        segments=tuple(orjson.loads(fields.get("segments", b"[]"))),
        digest=texts.get("digest", ""),
    )


def _webhook(texts: Mapping[str, str]) -> Webhook | None:
    if "webhook" not in texts:
        return None
    events = tuple(texts.get("notify", "").split())
    return Webhook(**orjson.loads(texts["webhook"]), events=events)


def _percentiles(texts: Mapping[str, str]) -> Sequence[int | None]:
    """Return what half, and what 95 of 100 jobs took; see `class_of` in batches.lua."""
    classes = sorted(
        (int(name.removeprefix("ms:")), int(count))
        for name, count in texts.items()
        if name.startswith("ms:")
    )
    everybody = sum(count for _, count in classes)
    return [_percentile(classes, everybody * share) for share in (0.5, 0.95)]


def _percentile(classes: Sequence[tuple[int, int]], rank: float) -> int | None:
    seen = 0
    for number, count in classes:
        seen += count
        if seen >= rank:
            return round(2 ** (number / 4))
    return None


def _dollars(micros: int) -> str:
    whole, part = divmod(micros, 1_000_000)
    return f"{whole}.{part:06}".rstrip("0").rstrip(".")


def _life(ms_text: str | None) -> timedelta | None:
    return None if ms_text is None else timedelta(milliseconds=int(ms_text))

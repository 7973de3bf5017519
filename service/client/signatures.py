"""Checks and reads what arrives at a webhook, by Standard Webhooks."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from service.client.errors import InvalidWebhook
from service.client.objects import Event

_PREFIX = "whsec_"
_VERSION = "v1"
_TOLERANCE_S = 300.0
_OBJECTS = frozenset({"image.job", "batch"})


def verify_webhook(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str | Iterable[str],
    *,
    tolerance_s: float = _TOLERANCE_S,
) -> Event:
    """Return the event that was delivered, if it was sent by who has the secret.

    An event may be delivered more than once; its `id` stays the same.

    Args:
        body: Just as it came: JSON that was read and written anew does not match.
        headers: Of the request, in upper or lower case.
        secret: `whsec_...`, or several of them, one of which has to match.
        tolerance_s: How old the delivery may be, or ahead of this clock.

    Raises:
        InvalidWebhook: It was not, or it is too old.
        ValueError: A secret is none.
    """
    raw = body.encode() if isinstance(body, str) else body
    given = {name.lower(): value for name, value in headers.items()}
    try:
        event_id, stamp = given["webhook-id"], given["webhook-timestamp"]
        signatures = given["webhook-signature"].split()
    except KeyError as exc:
        raise InvalidWebhook(f"there is no header {exc.args[0]}") from exc
    _check_time(stamp, tolerance_s)
    signed = b".".join((event_id.encode(), stamp.encode(), raw))
    keys = [_key(one) for one in ([secret] if isinstance(secret, str) else secret)]
    if not _is_signed(signed, signatures, keys):
        raise InvalidWebhook("no signature matches")
    return _event(raw)


def _check_time(stamp: str, tolerance_s: float) -> None:
    if not stamp.isascii() or not stamp.isdigit():
        raise InvalidWebhook("webhook-timestamp is no time")
    if abs(time.time() - int(stamp)) > tolerance_s:
        raise InvalidWebhook("webhook-timestamp is too old, or ahead of this clock")


def _is_signed(signed: bytes, signatures: Iterable[str], keys: Iterable[bytes]) -> bool:
    digests = [hmac.digest(key, signed, hashlib.sha256) for key in keys]
    given = [_digest(signature) for signature in signatures]
    return any(hmac.compare_digest(a, b) for a in digests for b in given)


def _digest(signature: str) -> bytes:
    version, _, text = signature.partition(",")
    try:
        return base64.b64decode(text, validate=True) if version == _VERSION else b""
    except ValueError:
        return b""


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError as exc:
        raise ValueError("a webhook's secret is whsec_ and base64") from exc


def _event(raw: bytes) -> Event:
    try:
        told: dict[str, Any] = json.loads(raw)
        data = told.get("data") or {}
        subject = told["type"].partition(".")[0]
        about = {f"{subject}_id": data.get("id"), "status": data.get("status")}
        if data.get("object") in _OBJECTS:
            about[subject] = data
        return Event.of(told | about)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise InvalidWebhook("what is signed is no event") from exc

"""What a webhook's receiver checks, and what it is told."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from service.client import InvalidWebhook, verify_webhook
from service.core.webhooks import new_secret, signed

SECRET = new_secret()
JOB = {"id": "job_1", "object": "image.job", "status": "succeeded", "progress": 1.0}


def event(**fields: Any) -> bytes:
    told = {"id": "evt_1", "object": "event", "type": "job.succeeded", "data": JOB}
    return json.dumps(told | {"created_at": 1_795_270_464} | fields).encode()


def headers(body: bytes, *secrets: str, age_s: float = 0) -> dict[str, str]:
    at_s = int(time.time() - age_s)
    return signed(body, event="evt_1", at_s=at_s, secrets=secrets or [SECRET])


def test_a_signed_event_is_read():
    body = event()

    told = verify_webhook(body, headers(body), SECRET)

    assert (told.id, told.type, told.status) == ("evt_1", "job.succeeded", "succeeded")
    assert told.created_at == datetime(2026, 11, 21, 14, 14, 24, tzinfo=UTC)
    assert told.job is not None
    assert (told.job_id, told.job.id, told.job.progress) == ("job_1", "job_1", 1.0)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (
            "batch.completed",
            {"id": "batch_1", "object": "batch", "status": "completed"},
        ),
        ("job.failed", {"id": "job_1", "deleted": True}),
        ("endpoint.disabled", {"id": "ep_1", "object": "endpoint"}),
        ("color.changed", {"id": "col_1"}),
    ],
)
def test_an_event_may_be_about_anything(kind: str, data: dict[str, Any]):
    body = event(type=kind, data=data)

    told = verify_webhook(body.decode(), headers(body), SECRET)

    assert told.type == kind
    assert told.raw["data"] == data
    assert data["id"] in (told.job_id, told.batch_id, told.endpoint_id, "col_1")
    assert (told.batch is not None) == (kind == "batch.completed")


def test_while_a_secret_is_rotated_either_is_enough():
    body, other = event(), new_secret()

    signed_twice = verify_webhook(body, headers(body, other, SECRET), SECRET)
    known_twice = verify_webhook(body, headers(body, SECRET), [other, SECRET])

    assert signed_twice.id == known_twice.id == "evt_1"


def test_names_of_headers_come_in_any_case():
    body = event()
    shouted = {name.upper(): value for name, value in headers(body).items()}

    assert verify_webhook(body, shouted, SECRET).id == "evt_1"


def test_the_specification_s_own_example_is_signed_rightly():
    given = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }

    with pytest.raises(InvalidWebhook, match="what is signed is no event"):
        verify_webhook(
            b'{"test": 2432232314}',
            given,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            tolerance_s=10**10,
        )


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "evt_2"},
        {"webhook-timestamp": "a second earlier"},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1,not base64 v1"},
        {"webhook-signature": "v2,AAAA v1,ä"},
        {"webhook-signature": ""},
    ],
)
def test_what_was_changed_does_not_match(changed: dict[str, str]):
    body = event()
    if "webhook-timestamp" in changed:
        changed = {"webhook-timestamp": str(int(time.time()) - 1)}

    with pytest.raises(InvalidWebhook, match="no signature matches"):
        verify_webhook(body, headers(body) | changed, SECRET)


def test_a_changed_byte_or_another_secret_does_not_match():
    body = event()

    with pytest.raises(InvalidWebhook, match="no signature matches"):
        verify_webhook(body.replace(b"job_1", b"job_2"), headers(body), SECRET)
    with pytest.raises(InvalidWebhook, match="no signature matches"):
        verify_webhook(body, headers(body), new_secret())


@pytest.mark.parametrize("age_s", [400, -400])
def test_a_delivery_of_another_time_is_refused(age_s: int):
    body = event()

    with pytest.raises(InvalidWebhook, match="too old, or ahead"):
        verify_webhook(body, headers(body, age_s=age_s), SECRET)
    assert verify_webhook(body, headers(body, age_s=age_s), SECRET, tolerance_s=500)


def test_headers_that_are_missing_or_no_times_are_refused():
    body = event()

    with pytest.raises(InvalidWebhook, match="no header webhook-id"):
        verify_webhook(body, {}, SECRET)
    with pytest.raises(InvalidWebhook, match="is no time"):
        verify_webhook(body, headers(body) | {"webhook-timestamp": "²"}, SECRET)


def test_a_secret_that_is_none_is_a_mistake_of_ours():
    body = event()

    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook(body, headers(body), "whsec_ä")

"""Standard Webhooks as we speak it, held to the reference library; and the schedule."""

import base64
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate.webhook import InvalidSignatureError, Webhooks, WebhookSigningSecret
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service import settings
from service.core.errors import InvalidRequest
from service.core.webhooks import Schedule, checked_secret, new_secret, signed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOUR = timedelta(hours=1)


def test_a_known_message_has_the_known_signature():
    headers = signed(
        b'{"test": 2432232314}',
        event="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at_s=1614265330,
        secrets=[SECRET],
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.text(), st.integers(24, 64))
def test_the_reference_library_believes_us_under_either_secret(text: str, length: int):
    other = "whsec_" + base64.b64encode(bytes(range(length))).decode()
    body, now_s = text.encode(errors="ignore"), int(time.time())

    headers = signed(body, event="evt_1", at_s=now_s, secrets=[SECRET, other])

    for secret in (SECRET, checked_secret(other, param="secret")):
        Webhook(secret).verify(body, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers, json_parse=False)


@pytest.mark.parametrize("off_s", [-301, 301])
def test_what_is_old_or_from_the_future_is_not_believed(off_s: int):
    at_s = int(time.time()) + off_s

    headers = signed(b"{}", event="evt_1", at_s=at_s, secrets=[SECRET])

    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"{}", headers)


def test_replicates_own_client_believes_us_under_either_secret():
    now_s = int(time.time())

    other = new_secret()
    headers = signed(b"{}", event="evt_1", at_s=now_s, secrets=[other, SECRET])

    for key in (SECRET, other):
        replicates = WebhookSigningSecret(key=key)
        Webhooks.validate(headers=headers, body="{}", secret=replicates, tolerance=300)
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=headers, body="{ }", secret=replicates)


def test_the_check_on_the_page_takes_what_is_ours_and_nothing_else():
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - what our own page says
    now_s = int(time.time())

    other = new_secret()
    fresh = signed(b"{}", event="evt_1", at_s=now_s, secrets=[other, SECRET])
    stale = signed(b"{}", event="evt_1", at_s=now_s - 301, secrets=[SECRET])

    assert names["is_genuine"](b"{}", fresh, SECRET)
    assert names["is_genuine"](b"{}", fresh, other)
    assert not names["is_genuine"](b"{ }", fresh, SECRET)
    assert not names["is_genuine"](b"{}", fresh | {"webhook-id": "evt_2"}, SECRET)
    assert not names["is_genuine"](b"{}", fresh, new_secret())
    assert not names["is_genuine"](b"{}", stale, SECRET)


def test_a_secret_of_ours_is_one_we_would_take():
    assert checked_secret(new_secret(), param="secret") != new_secret()


@pytest.mark.parametrize("length", [0, 23, 65])
def test_a_secret_of_another_length_is_refused(length: int):
    text = "whsec_" + base64.b64encode(bytes(length)).decode()

    with pytest.raises(InvalidRequest) as refused:
        checked_secret(text, param="secret")

    assert (refused.value.code, refused.value.param) == ("invalid_secret", "secret")


def test_ten_attempts_take_three_days_by_default():
    schedule = settings.Webhooks().schedule

    waits = [schedule.wait_after(n, dice=0.5) for n in range(1, 11)]

    assert waits[-1] is None
    told = [wait for wait in waits if wait is not None]
    assert told == sorted(told)
    assert 75 * HOUR < sum(told, timedelta(0)) < 76 * HOUR


@given(st.floats(0, 1, exclude_max=True))
def test_a_wait_is_the_schedules_give_or_take_a_fifth(dice: float):
    schedule = Schedule((HOUR,))

    wait = schedule.wait_after(1, dice=dice)

    assert wait is not None
    assert 0.8 * HOUR <= wait <= 1.2 * HOUR <= schedule.patience
    assert schedule.wait_after(2, dice=dice) is None

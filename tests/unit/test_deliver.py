"""The task that delivers: what it sends, and what it makes of the reply."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from fakeredis import FakeAsyncRedis

from service.core.errors import (
    BatchDeleted,
    JobDeleted,
    NotFound,
    QueueUnavailable,
)
from service.core.webhooks import Schedule
from service.webhooks import Parcel, Settled
from workers.channels import Message, Reply
from workers.deliver import DeliverContext, Secrets, deliver
from workers.payloads import Payloads

MINUTE = timedelta(minutes=1)
PARCEL = Parcel(
    id="dlv_1",
    fence=1,
    attempts=3,
    tries=0,
    event="evt_1",
    type="job.failed",
    subject="job_1",
    account="ada",
    created_at=datetime(2026, 11, 21, tzinfo=UTC),
    url="https://hooks.example.com/",
    secrets=("whsec_a",),
)


class Scripted:
    """A channel that replies as it is told, and remembers what went out."""

    name: ClassVar[str] = "scripted"

    def __init__(self, status: int | None, error: str | None) -> None:
        self._reply = Reply(status=status, error=error, body=b"so")
        self.sent: list[Message] = []

    async def send(self, message: Message) -> Reply:
        self.sent.append(message)
        return self._reply


class Shelf:
    """Where jobs are read; away as often as it is told, and then there or not."""

    def __init__(self, *troubles: Exception) -> None:
        self._troubles = list(troubles)
        self.reads = 0

    async def read(self, job_id: str, account: str) -> dict[str, Any]:
        self.reads += 1
        if self._troubles:
            raise self._troubles.pop(0)
        return {"id": job_id, "account": account}


def context(channel: Scripted, shelf: Shelf, **more: Any) -> dict[str, Any]:
    made = DeliverContext(
        payloads=Payloads({"job": shelf.read}),
        channel=channel,
        secrets=Secrets(FakeAsyncRedis()),
        schedule=Schedule((MINUTE,)),
        dice=lambda: 0.5,
    )
    return {"deliver": replace(made, **more)}


@pytest.mark.parametrize(
    ("status", "error", "tries", "end"),
    [
        (204, None, 0, ("delivered", timedelta(0))),
        (500, "status", 0, ("again", MINUTE)),
        (None, "timeout", 0, ("again", MINUTE)),
        (None, "timeout", 1, ("exhausted", timedelta(0))),
        (410, "status", 0, ("gone", timedelta(0))),
    ],
)
async def test_a_reply_decides_what_is_next(
    status: int | None, error: str | None, tries: int, end: tuple[str, timedelta]
):
    parcel = replace(PARCEL, tries=tries)

    settled = await deliver(context(Scripted(status, error), Shelf()), parcel)

    assert isinstance(settled, Settled)
    assert (settled.next, settled.wait) == end
    assert (settled.status, settled.error) == (status, error)
    assert settled.answer == b"so"


async def test_without_redis_it_waits_and_sends_nothing_yet():
    channel, shelf = Scripted(200, None), Shelf(QueueUnavailable("away"))
    payloads = Payloads({"job": shelf.read}, shared_s=0)

    await deliver(context(channel, shelf, payloads=payloads), PARCEL)

    assert shelf.reads == 2
    assert [message.secrets for message in channel.sent] == [("whsec_a",)]


async def test_what_names_no_secret_is_signed_with_the_accounts():
    channel = Scripted(200, None)
    ctx = context(channel, Shelf())

    for account in ("ada", "ada", "eve"):
        parcel = replace(PARCEL, account=account, secrets=())
        await deliver(ctx, parcel)

    first, second, third = (message.secrets for message in channel.sent)
    assert first == second != third


async def test_who_hears_at_the_same_time_hears_the_same():
    channel, shelf = Scripted(200, None), Shelf()
    ctx = context(channel, shelf)

    for url in ("https://a.example/", "https://b.example/"):
        await deliver(ctx, replace(PARCEL, url=url))
    await deliver(ctx, replace(PARCEL, event="evt_2"))

    assert shelf.reads == 2
    assert channel.sent[0].body == channel.sent[1].body != channel.sent[2].body


@pytest.mark.parametrize("gone", [NotFound, JobDeleted, BatchDeleted])
async def test_of_what_is_gone_the_id_is_left(gone: type[Exception]):
    channel = Scripted(200, None)

    await deliver(context(channel, Shelf(gone("it is no more"))), PARCEL)

    assert b'"data":{"id":"job_1","deleted":true}' in channel.sent[0].body

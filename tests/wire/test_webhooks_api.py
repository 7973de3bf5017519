"""`/v1/endpoints` and `/v1/deliveries`: what they take, tell, and keep to an owner."""

import asyncio
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import FormData

from service.core.errors import InvalidRequest
from service.settings import Outbound
from service.webhooks.urls import Urls
from tests.fakes.door import FrontDoor

URL = "https://hooks.example.com/x"
LONG = "https://hooks.example.com/" + "x" * 2022
"""2,048 characters."""


async def test_a_url_is_kept_as_it_will_be_called():
    urls = Urls(Outbound(), base_url="http://127.0.0.1:8080")
    called = {
        URL: URL,
        LONG: LONG,
        "HTTPS://Hooks.Example.COM": "https://hooks.example.com/",
        "https://h.example:443/a?b=c&d=%20": "https://h.example/a?b=c&d=%20",
        "https://h.example?x": "https://h.example/?x",
        "https://b\u00fccher.example:8443/": "https://xn--bcher-kva.example:8443/",
        "https://93.184.216.34/": "https://93.184.216.34/",
        "https://[2606:2800::1]/": "https://[2606:2800::1]/",
    }

    kept = {url: urls.checked(url, param="url") for url in called}

    assert kept == called


@pytest.mark.parametrize(
    "own", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"]
)
def test_our_own_url_is_refused_where_its_network_is_let_in_too(own: str):
    rules = Outbound(
        allowed_networks=[ip_network("127.0.0.0/8"), ip_network("::1")], allow_http=True
    )
    urls = Urls(rules, base_url=own)

    hosts = ("127.0.0.1", "localhost", "localhost.", "a.localhost", "[::1]", "127.1")
    codes = {code_of(urls, f"http://{host}:8080/") for host in hosts}

    assert codes == {"url_not_allowed"}
    assert code_of(urls, "http://127.0.0.1:8081/") is None


def code_of(urls: Urls, url: str) -> str | None:
    """Return the code that a URL is refused with; None: it is taken."""
    try:
        urls.checked(url, param="url")
    except InvalidRequest as exc:
        return exc.code
    return None


async def test_inner_receivers_are_taken_where_the_operator_lets_them_in():
    rules = Outbound(allowed_networks=[ip_network("10.1.0.0/16")], allow_http=True)
    urls = Urls(rules, base_url="http://127.0.0.1:8080")

    kept = [
        urls.checked(url, param="url")
        for url in ("http://10.1.2.3:9000/", "http://hooks:9000/", "http://localhost/")
    ]
    refused = {
        "http://10.2.0.1/": "url_not_allowed",
        "https://hooks.example.com:22/": "url_port",
        "https://93.184.216.34:9000/": "url_port",
        "http://10.1.2.3:65536/": "url_port",
    }
    codes = {url: code_of(urls, url) for url in refused}

    assert codes == refused
    assert kept == ["http://10.1.2.3:9000/", "http://hooks:9000/", "http://localhost/"]


async def test_a_repeated_call_finds_the_endpoint_and_the_secret_of_the_first(
    door: FrontDoor,
):
    _, eve = await door.knows("eve")

    async def post(url: str = URL, **options: str):
        return await door.post(
            "/v1/endpoints", {"url": url}, Idempotency_Key="one", **options
        )

    first, again = await asyncio.gather(post(), post())
    other = await post(f"{URL}?other")
    hers = await post(secret=eve)
    await door.call("DELETE", f"/v1/endpoints/{first.body['id']}")
    anew = await post()

    assert first.body == again.body
    assert sorted(a.headers.get("Idempotent-Replayed", "") for a in (first, again)) == [
        "",
        "true",
    ]
    assert (other.status, other.code) == (422, "idempotency_mismatch")
    assert len({a.body["id"] for a in (first, hers, anew)}) == 3


async def test_a_rotation_needs_no_body(door: FrontDoor):
    made = (await door.post("/v1/endpoints", {"url": URL})).body

    rotated = await door.post(f"/v1/endpoints/{made['id']}/rotate")
    read = await door.get(f"/v1/endpoints/{made['id']}")
    unknown = await door.post("/v1/endpoints/ep_nope/rotate")
    garbled = await door.post(f"/v1/endpoints/{made['id']}/rotate", data=b"a=b")

    assert rotated.status == 200
    assert rotated.body["secret"] != made["secret"]
    assert rotated.body["old_secret_until"] > made["created_at"] + 86_000
    assert read.body == {n: v for n, v in rotated.body.items() if n != "secret"}
    assert (unknown.status, unknown.code) == (404, "not_found")
    assert (garbled.status, garbled.code) == (415, "unsupported_media_type")


async def test_fields_that_are_wrong_are_named(door: FrontDoor):
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "missing_field"),
        ({"url": 1}, "wrong_type"),
        ({"url": URL, "events": []}, "out_of_range"),
        ({"url": URL, "events": ["job.done"]}, "invalid_enum"),
        ({"url": URL, "events": "*"}, "wrong_type"),
        ({"url": URL, "description": "x" * 257}, "out_of_range"),
        ({"url": URL, "account": "eve"}, "unknown_field"),
    ]

    refused = [await door.post("/v1/endpoints", fields) for fields, _ in wrong]

    assert [(a.status, a.code) for a in refused] == [(400, code) for _, code in wrong]
    said = [answer.body["error"]["message"] for answer in refused]
    assert said[2] == "events must name at least 1, or be left out"


async def test_a_webhook_names_only_what_may_happen_to_its_own(door: FrontDoor):
    answers = []
    for wrong in ("batch.completed", "endpoint.disabled"):
        webhook = {"url": URL, "events": ["*", wrong]}
        fields = {"model": "test/test", "prompt": "a fox", "webhook": webhook}
        answers.append(await door.post("/v1/jobs", fields))
    webhook = {"url": URL, "events": ["batch.completed", "job.failed"]}
    form = FormData({"purpose": "batch"})
    form.add_field("file", b"{}", filename="lines.jsonl")
    fields = {
        "input_file_id": (await door.call("POST", "/v1/files", data=form)).body["id"],
        "endpoint": "/v1/images/generations",
        "completion_window": "24h",
        "webhook": webhook,
    }
    answers.append(await door.post("/v1/batches", fields))

    assert {(answer.status, answer.code) for answer in answers} == {
        (400, "invalid_enum")
    }
    assert {answer.body["error"]["param"] for answer in answers} == {"webhook.events.1"}
    assert "batch.completed never happens to a job" in str(answers[0].body)


async def test_an_endpoint_is_made_changed_disabled_and_deleted(door: FrontDoor):
    made = await door.post("/v1/endpoints", {"url": URL, "description": "calendar"})
    path = f"/v1/endpoints/{made.body['id']}"
    read = (await door.get(path)).body
    listed = (await door.get("/v1/endpoints")).body["data"]
    changed = await door.call(
        "PATCH", path, json={"events": ["job.failed"], "status": "disabled"}
    )
    refused = await door.post(f"{path}/test")
    moved = await door.call(
        "PATCH", path, json={"url": f"{URL}?y", "description": "album"}
    )
    back = {"url": URL, "description": "calendar"}
    assert (await door.call("PATCH", path, json=back)).body == changed.body
    untouched = await door.call("PATCH", path, json={})
    enabled = await door.call("PATCH", path, json={"status": "enabled"})
    gone = await door.call("DELETE", path)

    assert made.status == 201
    assert made.body["secret"].startswith("whsec_")
    assert "secret" not in read
    assert listed == [read]
    assert (changed.body["events"], changed.body["status"]) == (
        ["job.failed"],
        "disabled",
    )
    assert changed.body["disabled_reason"] == "asked"
    assert (moved.body["url"], moved.body["description"]) == (f"{URL}?y", "album")
    assert untouched.body == changed.body
    assert (refused.status, refused.code) == (409, "endpoint_disabled")
    assert enabled.body | {"events": ["*"]} == read
    assert (gone.status, (await door.get(path)).status) == (204, 404)
    assert (await door.get("/v1/endpoints")).body["data"] == []


async def test_an_account_has_as_many_endpoints_as_it_may(door: FrontDoor):
    answers = [await door.post("/v1/endpoints", {"url": URL}) for _ in range(17)]

    assert [answer.status for answer in answers] == [201] * 16 + [400]
    assert answers[16].code == "too_many_endpoints"


async def test_deliveries_are_listed_by_what_is_asked_for(door: FrontDoor):
    ids = [(await door.post("/v1/endpoints", {"url": URL})).body["id"] for _ in "ab"]
    jobs = [(await door.submit())["id"] for _ in "abc"]
    for job_id in jobs:
        await door.post(f"/v1/jobs/{job_id}/cancel")
    test = (await door.post(f"/v1/endpoints/{ids[0]}/test")).body

    async def listed(query: str) -> list[dict[str, Any]]:
        return (await door.get(f"/v1/deliveries?{query}")).body["data"]

    first = (await door.get("/v1/deliveries?limit=4")).body
    rest = (await door.get(f"/v1/deliveries?after={first['last_id']}")).body
    assert (first["has_more"], rest["has_more"]) == (True, False)
    every = first["data"] + rest["data"]
    assert len({delivery["id"] for delivery in every}) == 7
    assert {d["job_id"] for d in await listed(f"job={jobs[1]}")} == {jobs[1]}
    assert len(await listed(f"endpoint={ids[1]}")) == 3
    assert await listed("type=endpoint.test&status=pending") == [test]
    assert await listed("status=failed") == []
    assert test["next_attempt_at"] == test["created_at"]


async def test_a_listing_that_cannot_be_is_refused(door: FrontDoor):
    wrong = {
        "limit=0": "invalid_pagination",
        "after=dlv_x": "invalid_pagination",
        "status=done": "invalid_enum",
        "account=eve": "unknown_param",
        "type=a&type=b": "duplicate_param",
    }

    refused = [await door.get(f"/v1/deliveries?{query}") for query in wrong]

    assert [(a.status, a.code) for a in refused] == [(400, c) for c in wrong.values()]


async def test_strangers_find_nothing_and_are_told_the_same_as_of_nothing(
    door: FrontDoor,
):
    made = (await door.post("/v1/endpoints", {"url": URL})).body["id"]
    sent = (await door.post(f"/v1/endpoints/{made}/test")).body["id"]
    _, eve = await door.knows("eve")
    routes = [
        ("GET", "/v1/endpoints/{}", made, None),
        ("PATCH", "/v1/endpoints/{}", made, {"status": "disabled"}),
        ("DELETE", "/v1/endpoints/{}", made, None),
        ("POST", "/v1/endpoints/{}/rotate", made, {}),
        ("POST", "/v1/endpoints/{}/test", made, None),
        ("GET", "/v1/deliveries/{}", sent, None),
        ("POST", "/v1/deliveries/{}/redeliver", sent, None),
    ]

    for method, path, known, json in routes:
        for name in (known, "ep_unknown", "%00", "..%2F", "x" * 500):
            told = await door.call(
                method, path.format(name), json=json, secret=eve, encoded=True
            )
            assert (told.status, told.code) == (404, "not_found"), (method, path)

    own = (await door.get(f"/v1/endpoints/{made}")).body
    assert own["status"] == "enabled"
    secrets = [
        (await door.get("/v1/webhooks/default/secret", secret=secret)).body["key"]
        for secret in (door.secret, door.secret, eve)
    ]
    assert secrets[0] == secrets[1] != secrets[2]


async def test_a_repeat_joins_only_with_the_same_webhook(door: FrontDoor):
    named = {"Idempotency_Key": "one", "json": None}
    body = {"model": "test/test", "prompt": "a fox", "webhook": {"url": URL}}
    other = body | {"webhook": {"url": f"{URL}?"}}

    first, same, different = [
        await door.post("/v1/jobs", **(named | {"json": fields}))
        for fields in (body, body, other)
    ]

    assert first.body["id"] == same.body["id"]
    assert (different.status, different.code) == (422, "idempotency_mismatch")

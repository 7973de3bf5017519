"""Who may look at the dashboard, for how long, and whose forms are taken."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from service.accounts import Scope
from service.accounts.sessions import Sessions
from service.core.errors import Unauthenticated
from tests.fakes.door import SECRET, FrontDoor
from tests.fakes.visitor import Visitor, visitor


@pytest.fixture
async def stranger(door: FrontDoor) -> AsyncIterator[Visitor]:
    somebody = Visitor(door)
    yield somebody
    await somebody.close()


async def test_who_has_not_signed_in_is_asked_for_a_key(stranger: Visitor):
    seen = await stranger.get("/ui/jobs?status=failed")

    assert seen.status == 303
    place = seen.headers["Location"]
    assert place == "/ui/sign-in?next=/ui/jobs%3Fstatus%3Dfailed"
    assert "API key" in (await stranger.get(place)).text


async def test_a_key_becomes_a_cookie_that_says_nothing_of_it(
    stranger: Visitor, redis: Redis
):
    seen = await stranger.post("/ui/sign-in?next=/ui/jobs", {"key": f" {SECRET} "})

    cookie = seen.headers["Set-Cookie"]
    token = cookie.partition("=")[2].partition(";")[0]
    assert (seen.status, seen.headers["Location"]) == (303, "/ui/jobs")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/ui" in cookie
    assert "Secure" not in cookie  # the door is plain http here
    assert SECRET not in cookie
    assert (await stranger.get("/ui/jobs")).status == 200
    [session] = [key async for key in redis.scan_iter("darkroom:session:*")]
    assert token.encode() not in session
    assert await redis.ttl(session) > 11 * 3600


@pytest.mark.parametrize(
    ("place", "leads_to"),
    [
        ("", "/ui"),
        ("?next=/ui/jobs/job_1", "/ui/jobs/job_1"),
        ("?next=https://evil.example/ui/", "/ui"),
        ("?next=//evil.example/ui/", "/ui"),
        ("?next=/ui/%5Cevil", "/ui"),
        ("?next=/ui/%0d%0aSet-Cookie:x", "/ui"),
        ("?next=/v1/jobs", "/ui"),
    ],
)
async def test_signing_in_leads_to_pages_of_ours_only(
    stranger: Visitor, place: str, leads_to: str
):
    seen = await stranger.post(f"/ui/sign-in{place}", {"key": SECRET})

    assert (seen.status, seen.headers["Location"]) == (303, leads_to)


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("sk_of-nobody", "This API key is not known."),
        ("not a key", "This is not an API key."),
        ("", "Paste an API key first."),
    ],
)
async def test_a_wrong_key_is_told_beside_the_field(
    stranger: Visitor, secret: str, says: str
):
    seen = await stranger.sign_in(secret)

    assert (seen.status, says in seen.text) == (401, True)
    assert "Set-Cookie" not in seen.headers


async def test_a_key_for_links_opens_nothing(stranger: Visitor, embed_secret: str):
    seen = await stranger.sign_in(embed_secret)

    assert (seen.status, "embed links only" in seen.text) == (401, True)


async def test_whoever_revokes_the_key_ends_its_sessions(
    door: FrontDoor, stranger: Visitor
):
    key, secret = await door.knows("default")
    await stranger.sign_in(secret)
    assert (await stranger.get("/ui/jobs")).status == 200

    await door.accounts.revoke(key.id)

    seen = await stranger.get("/ui/jobs")
    assert seen.headers["Location"].endswith("&why=key_revoked")
    assert "was revoked" in (await stranger.get(seen.headers["Location"])).text


async def test_a_session_ends_with_its_cookie_and_its_time(
    door: FrontDoor, redis: Redis
):
    key, _ = await door.knows("default")
    sessions = Sessions(redis, door.accounts)
    token, other = await sessions.open(key), await sessions.open(key)

    await sessions.end(token)
    assert (await sessions.key_of(other)).id == key.id
    for record in [key async for key in redis.scan_iter("darkroom:session:*")]:
        await redis.delete(record)

    for over in (token, other, "", "x" * 5000):
        with pytest.raises(Unauthenticated) as caught:
            await sessions.key_of(over)
        assert caught.value.code == "session_over"


async def test_signing_out_is_for_good(door: FrontDoor):
    async with visitor(door) as somebody:
        seen = await somebody.post("/ui/sign-out")

        assert seen.headers["Location"] == "/ui/sign-in"
        assert "Max-Age=0" in seen.headers["Set-Cookie"]
        assert (await somebody.get("/ui/jobs")).status == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
    ids=str,
)
async def test_forms_of_others_are_refused(door: FrontDoor, headers: dict[str, str]):
    job = await door.submit(model="test/slow-30")
    async with visitor(door) as somebody:
        seen = await somebody.post(f"/ui/jobs/{job['id']}/cancel", **headers)
        again = await somebody.sign_in(SECRET, **headers)

        assert (seen.status, again.status) == (403, 403)
        assert "foreign_origin" in seen.html
    assert (await door.get(f"/v1/jobs/{job['id']}")).body["status"] != "canceled"


async def test_forms_of_our_own_are_taken_through_a_proxy_too(door: FrontDoor):
    async with visitor(door) as somebody:
        by_fetch = await somebody.post(
            "/ui/sign-out", Origin="", Sec_Fetch_Site="same-origin"
        )

        assert by_fetch.status == 303


async def test_pages_for_operators_are_not_there_for_others(door: FrontDoor):
    async with visitor(door, scopes=frozenset({Scope.ADMIN})) as operator:
        first = await operator.get("/ui")
        jobs = await operator.get("/ui/jobs")

        assert first.headers["Location"] != "/ui/playground"
        assert jobs.status == 404
        assert "Back to the dashboard" in jobs.text


async def test_every_page_allows_itself_nothing_from_elsewhere(door: FrontDoor):
    async with visitor(door) as somebody:
        seen = await somebody.get("/ui/jobs")

    policy = seen.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert seen.headers["Cache-Control"] == "no-store"
    assert seen.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_dashboard_cookie_opens_no_route_of_the_api(door: FrontDoor):
    async with visitor(door) as somebody:
        seen = await somebody.get("/v1/jobs")

    assert seen.status == 401

"""`/v1/files`: what is taken, what is refused, and what comes back."""

import asyncio
import shutil
import time
from io import BytesIO

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI
from redis.asyncio import Redis

from service.files.writing import PART_BYTES
from service.settings import Limits
from tests.fakes.door import SECRET, FrontDoor, front_door, raw
from tests.fakes.forms import BOUNDARY, TYPE, Part, form

LINES = b'{"custom_id": "1"}\n{"custom_id": "2"}\n'
UPLOAD = Part("file", LINES, "lines.jsonl", "application/octet-stream")
DAYS_30 = 30 * 86_400


@pytest.fixture
async def client(door: FrontDoor):
    async with AsyncOpenAI(base_url=f"{door.url}/v1", api_key=SECRET) as client:
        yield client


async def send(door: FrontDoor, *parts: Part, **options):
    fields = options.pop("fields", {"purpose": "batch"})
    body = form(*(parts or (UPLOAD,)), **fields)
    return await door.post(
        "/v1/files", data=BytesIO(body), Content_Type=TYPE, **options
    )


async def keys(redis: Redis) -> list[bytes]:
    return await redis.keys("darkroom:file*") + await redis.keys("darkroom:upload*")


async def test_sdk_creates_reads_and_deletes_files(client: AsyncOpenAI, tmp_path):
    path = tmp_path / "größer.jsonl"
    path.write_bytes(LINES)
    large = ("large.bin", b"\0\xff" * (PART_BYTES + 1), "application/octet-stream")

    nameless = await client.files.create(file=LINES, purpose="batch")
    named = await client.files.create(
        file=path,
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    whole = await client.files.create(file=large, purpose="vision")

    assert nameless.expires_at - nameless.created_at == DAYS_30
    assert (named.filename, named.bytes) == ("größer.jsonl", len(LINES))
    assert named.expires_at - named.created_at == 3600
    assert (whole.status, whole.purpose, whole.expires_at) == (
        "processed",
        "vision",
        None,
    )
    assert await client.files.retrieve(named.id) == named
    assert (await client.files.content(named.id)).read() == LINES
    async with client.files.with_streaming_response.content(whole.id) as response:
        assert await response.read() == large[1]
    gone = await client.files.delete(whole.id)
    assert (gone.id, gone.deleted) == (whole.id, True)
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(NotFoundError, match="no such file"):
            await call(whole.id)


async def test_sdk_walks_through_pages_and_may_delete_on_its_way(
    client: AsyncOpenAI,
):
    made = [
        (await client.files.create(file=LINES, purpose=purpose)).id
        for purpose in ("batch", "batch", "vision", "batch", "batch")
    ]

    newest_first = [file.id async for file in client.files.list(limit=2)]
    ascending = client.files.list(limit=2, order="asc", purpose="batch")
    batches = {file.id async for file in ascending}
    page = await client.files.list(limit=2)
    async for file in client.files.list(limit=2):
        await client.files.delete(file.id)

    assert set(newest_first) == set(made)
    assert batches == {*made} - {made[2]}
    assert (page.has_more, page.first_id, page.last_id) == (True, *newest_first[:2])
    assert (await client.files.list()).data == []


async def test_synchronous_sdk_streams_a_file_to_the_disk(door: FrontDoor, tmp_path):
    def call() -> None:
        with OpenAI(base_url=f"{door.url}/v1", api_key=SECRET) as client:
            file = client.files.create(file=("a.jsonl", LINES), purpose="batch")
            with client.files.with_streaming_response.content(file.id) as response:
                response.stream_to_file(tmp_path / "out")

    await asyncio.to_thread(call)

    assert (tmp_path / "out").read_bytes() == LINES


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_uploads_and_downloads(door: FrontDoor, tmp_path):
    (tmp_path / "lines.jsonl").write_bytes(LINES)
    header = ("-sS", "-H", f"Authorization: Bearer {SECRET}")

    async def curl(*args: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            "curl", *header, *args, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        return said

    form_ = ("-F", "file=@lines.jsonl", "-F", "purpose=batch")
    await curl(*form_, f"{door.url}/v1/files")
    [file] = (await door.get("/v1/files")).body["data"]
    content = await curl(f"{door.url}/v1/files/{file['id']}/content")

    assert (file["filename"], content) == ("lines.jsonl", LINES)


async def test_purpose_may_stand_before_or_behind_the_file(door: FrontDoor):
    purpose = Part("purpose", "batch")

    before = await send(door, purpose, UPLOAD, fields={})
    behind = await send(door, UPLOAD, purpose, fields={})

    assert (before.status, behind.status) == (200, 200)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\secret\\a.jsonl", "a.jsonl"),
        ("a\x00b\u202egnp.exe", "abgnp.exe"),
        ("x" * 5000, "x" * 255),
        ("..", ".."),
        ("", "file"),
        ("/", "file"),
    ],
)
async def test_name_of_a_file_is_shown_without_what_could_do_harm(
    door: FrontDoor, sent: str, shown: str
):
    answer = await send(door, Part("file", LINES, sent))

    content = await door.get(f"/v1/files/{answer.body['id']}/content")
    assert answer.body["filename"] == shown
    assert content.headers["Content-Disposition"].startswith("attachment;")
    assert content.headers["X-Content-Type-Options"] == "nosniff"
    assert content.raw == LINES


@pytest.mark.parametrize(
    ("fields", "parts", "code"),
    [
        ({}, (UPLOAD,), "missing_field"),
        ({"purpose": "fine-tune"}, (UPLOAD,), "invalid_enum"),
        ({"purpose": "batch", "name": "x"}, (UPLOAD,), "unknown_field"),
        ({"purpose": "batch"}, (UPLOAD, UPLOAD), "duplicate_field"),
        ({"purpose": "batch"}, (Part("other", LINES, "x"),), "unknown_field"),
        ({"purpose": "batch"}, (Part("purpose", "batch"),), "duplicate_field"),
        ({"purpose": "batch"}, (Part("user", "x"),), "missing_field"),
        ({"purpose": "batch"}, (Part("file", "", "x"),), "empty_file"),
        ({"purpose": b"\xff"}, (UPLOAD,), "invalid_encoding"),
        ({"expires_after[seconds]": "9999"}, (UPLOAD,), "missing_field"),
        (
            {
                "purpose": "batch",
                "expires_after[anchor]": "created_at",
                "expires_after[seconds]": "1",
            },
            (UPLOAD,),
            "out_of_range",
        ),
    ],
)
async def test_form_that_is_wrong_leaves_nothing_behind(
    door: FrontDoor, redis: Redis, fields, parts, code
):
    answer = await send(door, *parts, fields=fields)

    assert (answer.status, answer.code) == (400, code)
    assert await keys(redis) == []
    assert await door.images.list("files/") == []


async def test_form_that_ends_early_leaves_nothing_behind(door: FrontDoor, redis):
    large = Part("file", bytes(PART_BYTES + 1), "x")
    body = form(large, purpose="batch").removesuffix(f"--{BOUNDARY}--\r\n".encode())

    answer = await door.post("/v1/files", data=BytesIO(body), Content_Type=TYPE)

    assert (answer.status, answer.code) == (400, "invalid_multipart")
    assert await keys(redis) == []
    assert await door.images.list("files/") == []


async def test_file_that_the_store_does_not_take_leaves_nothing_behind(
    door: FrontDoor, redis: Redis
):
    root = door.images._folder._root
    root.mkdir(parents=True, exist_ok=True)
    (root / "files").write_bytes(b"in the way")

    answer = await send(door)

    assert (answer.status, answer.code) == (503, "store_unavailable")
    assert await keys(redis) == []


async def test_what_is_no_form_is_refused(door: FrontDoor):
    answer = await door.post("/v1/files", {"purpose": "batch"})

    assert (answer.status, answer.code) == (415, "unsupported_media_type")


async def test_file_of_somebody_else_is_like_one_that_never_was(door: FrontDoor):
    file = (await send(door)).body
    _, stranger = await door.knows("stranger")

    for path in (f"/v1/files/{file['id']}", f"/v1/files/{file['id']}/content"):
        unknown = path.replace(file["id"], "file-" + "a" * 26)
        for method in ("GET", "DELETE"):
            if method == "DELETE" and path.endswith("content"):
                continue
            mark = {"secret": stranger, "X_Request_ID": "same"}
            foreign = await door.call(method, path, **mark)
            never = await door.call(method, unknown, **mark)

            assert (foreign.status, foreign.raw) == (404, never.raw)

    listed = await door.get("/v1/files", secret=stranger)
    after = await door.get(f"/v1/files?after={file['id']}", secret=stranger)
    assert (listed.body["data"], after.code) == ([], "invalid_pagination")
    assert (await door.get(f"/v1/files/{file['id']}")).body == file


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_pagination"),
        ("limit=10001", "invalid_pagination"),
        ("limit=x", "invalid_pagination"),
        ("after=nobody", "invalid_pagination"),
        (f"after=file-{'a' * 26}", "invalid_pagination"),
        ("order=up", "invalid_enum"),
        ("purpose=batch&purpose=vision", "duplicate_param"),
        ("sort=x", "unknown_param"),
    ],
)
async def test_listing_that_cannot_be_had_is_refused(
    door: FrontDoor, query: str, code: str
):
    answer = await door.get(f"/v1/files?{query}")

    assert (answer.status, answer.code) == (400, code)


async def test_upload_that_is_named_and_repeated_is_one_file(door: FrontDoor):
    name = {"Idempotency_Key": "once"}

    first = await send(door, **name)
    again = await send(door, **name)
    other = await send(door, Part("file", b"{}", "x"), **name)

    assert first.body == again.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status, other.code) == (422, "idempotency_mismatch")
    assert len((await door.get("/v1/files")).body["data"]) == 1


async def test_file_has_a_limit(redis, shared_valkey, tmp_path):
    limits = Limits(uploaded_file_bytes=5_000, json_bytes=1024)
    async with front_door(shared_valkey.url, tmp_path, limits=limits) as door:
        fits = await send(door, Part("file", bytes(5_000), "x"))
        large = await send(door, Part("file", bytes(5_001), "x"))
        huge = await send(door, Part("file", bytes(7_000), "x"))

    assert fits.body["bytes"] == 5_000
    assert (large.status, large.code) == (413, "file_too_large")
    assert (huge.status, huge.code) == (413, "body_too_large")


async def test_so_many_uploads_of_an_account_may_be_on_their_way(door: FrontDoor):
    front = door.door.front
    _, stranger = await door.knows("stranger")
    held = [front.uploads.taken_by("default") for _ in range(16)]
    for turn in held:
        turn.__enter__()

    one_too_many = await send(door)
    of_another = await send(door, secret=stranger)
    held.pop().__exit__(None, None, None)
    then = await send(door)

    assert (one_too_many.status, one_too_many.code) == (429, "rate_limited")
    assert "Retry-After" in one_too_many.headers
    assert (of_another.status, then.status) == (200, 200)


async def test_content_that_goes_while_it_is_read_is_cut_off(door: FrontDoor):
    file = (await send(door, Part("file", bytes(3 * PART_BYTES), "x"))).body
    await door.images.delete(f"files/{file['id']}/1")
    path = f"/v1/files/{file['id']}/content"
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(request.encode())

    head = await reader.readuntil(b"\r\n\r\n")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(3 * PART_BYTES)
    await door.images.delete(f"files/{file['id']}/0")
    before = await door.get(path)

    writer.close()
    assert f"Content-Length: {3 * PART_BYTES}".encode() in head
    assert (before.status, before.code) == (404, "not_found")


async def test_head_tells_what_a_get_would(door: FrontDoor):
    file = (await send(door)).body

    answer = await door.call("HEAD", f"/v1/files/{file['id']}/content")

    assert (answer.status, answer.raw) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(LINES))


async def test_sender_who_is_too_slow_is_cut_off(door: FrontDoor, redis: Redis):
    body = form(UPLOAD, purpose="batch")
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\n"
        f"Content-Type: {TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    begun = time.monotonic()

    status, answer = await raw(door.port, head.encode() + body[:100])

    assert (status, b"body_timeout" in answer) == (408, True)
    assert time.monotonic() - begun < 3
    assert await keys(redis) == []


async def test_sdk_learns_which_field_is_wrong(client: AsyncOpenAI):
    with pytest.raises(BadRequestError) as refusal:
        await client.files.create(file=LINES, purpose="assistants")

    assert (refusal.value.param, refusal.value.code) == ("purpose", "invalid_enum")

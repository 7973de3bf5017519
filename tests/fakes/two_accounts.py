"""Account `ada`, who owns one thing of each kind, and `eve`, who owns nothing."""

from typing import Any, Self

from tests.fakes.door import Answer, FrontDoor

PATHS = {
    "job": "jobs",
    "batch": "batches",
    "file": "files",
    "endpoint": "endpoints",
    "delivery": "deliveries",
}
"""Where things of each kind are found, under `/v1`."""
NDJSON = {"Content_Type": "application/x-ndjson"}
FORM = {"Content_Type": "multipart/form-data; boundary=b"}
FOX = {"model": "test/test", "prompt": "a fox"}
A_FILE = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    b"{}\r\n--b--\r\n"
)


class TwoAccounts:
    """What both can do at a front door whose worker lets every job succeed.

    Attributes:
        ada: The secret of her key.
        key_id: What it is called.
        eve: The secret of hers.
        things: Ada's, by kind.
        deleted: What she made and deleted, of each kind that can be.
        alias: What she called a job of hers.
    """

    ada: str
    key_id: str
    eve: str

    def __init__(self, door: FrontDoor) -> None:
        self._door = door
        self.things: dict[str, str] = {}
        self.deleted: dict[str, str] = {}
        self.alias = "calendar-2027"

    async def settle(self) -> Self:
        """Let Ada make all of it."""
        key, self.ada = await self._door.knows("ada")
        self.key_id = key.id
        _, self.eve = await self._door.knows("eve")
        for kind in ("job", "batch", "file", "endpoint", "delivery"):
            self.things[kind] = await self.make(kind)
        for kind in ("job", "file", "endpoint"):
            self.deleted[kind] = await self.make(kind)
            await self.own("DELETE", f"/v1/{PATHS[kind]}/{self.deleted[kind]}")
        await self.own("PUT", f"/v1/jobs/{self.alias}", json=FOX)
        return self

    async def own(self, method: str, path: str, **options: Any) -> Answer:
        """Let Ada call; it goes well."""
        answer = await self._door.call(method, path, secret=self.ada, **options)
        assert answer.status < 300, answer.raw
        return answer

    async def make(self, kind: str) -> str:
        """Let Ada make a thing; jobs and batches have ended. Return its id."""
        match kind:
            case "job":
                made = (await self.own("POST", "/v1/jobs", json=FOX)).body["id"]
                await self.own("GET", f"/v1/jobs/{made}?wait=10")
            case "batch":
                line = b'{"model":"test/test","prompt":"a fox"}\n'
                answer = await self.own("POST", "/v1/batches", data=line, **NDJSON)
                made = answer.body["id"]
                await self.own("GET", f"/v1/batches/{made}/results?follow=true")
            case "file":
                answer = await self.own("POST", "/v1/files", data=A_FILE, **FORM)
                made = answer.body["id"]
            case "endpoint":
                url = {"url": "https://hooks.example.com/x"}
                made = (await self.own("POST", "/v1/endpoints", json=url)).body["id"]
            case _:
                path = f"/v1/endpoints/{self.things['endpoint']}/test"
                made = (await self.own("POST", path)).body["id"]
        return str(made)

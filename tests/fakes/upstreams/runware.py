"""Runware's list of tasks, by its reference."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import decoded_url, inline
from tests.fakes.upstreams.words import KEY, Asked, Link, Refusal, Result

_KNOWN = {
    "taskType",
    "taskUUID",
    "model",
    "positivePrompt",
    "negativePrompt",
    "width",
    "height",
    "numberResults",
    "seed",
    "steps",
    "CFGScale",
    "outputType",
    "outputFormat",
    "includeCost",
    "checkNSFW",
    "seedImage",
    "maskImage",
    "strength",
    "referenceImages",
}
_FORMATS = {"PNG": "png", "JPG": "jpeg", "WEBP": "webp"}
_CODES = {401: "invalidApiKey", 402: "insufficientCredits"}


class RunwareFake(Fake):
    """One object per image, with its cost; errors in a list of their own."""

    adapter: ClassVar[str] = "runware"
    model: ClassVar[str] = "runware:101@1"
    base_path: ClassVar[str] = "/v1"
    edits: ClassVar[bool] = True
    masks: ClassVar[bool] = True

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1", self.handle)]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(401, "unauthorized")
        [task] = await request.json()
        if set(task) - _KNOWN or task["taskType"] != "imageInference":
            raise Refusal(400, "invalidParameter")
        if task["width"] % 64 or task["height"] % 64:
            raise Refusal(400, "invalidParameter")
        links = [*task.get("referenceImages", [])]
        links += [task["seedImage"]] if "seedImage" in task else []
        if "maskImage" in task and "seedImage" not in task:
            raise Refusal(400, "invalidParameter")
        return Asked(
            prompt=task["positivePrompt"],
            model=task["model"],
            width=task["width"],
            height=task["height"],
            n=task.get("numberResults", 1),
            image_format=_FORMATS[task.get("outputFormat", "JPG")],
            images=[decoded_url(link) for link in links],
            mask=decoded_url(task["maskImage"]) if "maskImage" in task else None,
            seed=task.get("seed"),
            fields=task,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        return web.json_response({"data": [_item(asked, item) for item in results]})

    def rejected(self, asked: Asked) -> web.Response:
        return self.refused(Refusal(400, "contentModerated"))

    def flagged(self, asked: Asked) -> web.Response:
        items = [_item(asked, data) for data in self.drawn(asked)]
        flagged = [{**item, "NSFWContent": True} for item in items]
        return web.json_response({"data": flagged})

    def error_under_200(self, _: Asked) -> web.Response:
        answer = self.refused(Refusal(402, "unpaid"))
        answer.set_status(200)
        return answer

    def refused(self, refusal: Refusal) -> web.Response:
        error = {
            "code": _CODES.get(refusal.status, refusal.kind),
            "message": "told in many words",
            "parameter": None,
        }
        return web.json_response({"errors": [error]}, status=refusal.status)


def _item(asked: Asked, result: Result) -> dict[str, Any]:
    item = {
        "taskType": "imageInference",
        "taskUUID": asked.fields["taskUUID"],
        "imageUUID": asked.id,
        "cost": 0.0013,
    }
    if isinstance(result, Link):
        return {**item, "imageURL": result.url}
    return {**item, "imageBase64Data": inline(result)}

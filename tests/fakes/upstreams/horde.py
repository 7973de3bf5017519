"""AI Horde, by its Swagger document."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.images import decoded
from tests.fakes.upstreams.tasks import TaskFake
from tests.fakes.upstreams.words import KEY, Asked, Refusal

_KNOWN = {
    "prompt",
    "params",
    "models",
    "nsfw",
    "censor_nsfw",
    "r2",
    "shared",
    "source_image",
    "source_mask",
    "source_processing",
}
_PARAMS = {"n", "width", "height", "seed", "steps", "cfg_scale", "sampler_name"}
_RCS = {401: "InvalidAPIKey", 429: "TooManyPrompts"}


class HordeFake(TaskFake):
    """A short look and a long one; volunteers' states beside their pictures."""

    adapter: ClassVar[str] = "horde"
    model: ClassVar[str] = "AlbedoBase XL (SDXL)"
    base_path: ClassVar[str] = "/api"
    edits: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    links: ClassVar[bool] = True

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v2/generate/async", self.handle),
            web.get("/api/v2/generate/check/{id}", self._check),
            web.get("/api/v2/generate/status/{id}", self._status),
        ]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("apikey") != KEY:
            raise Refusal(401, "unauthorized")
        body = await request.json()
        params = body.get("params", {})
        if set(body) - _KNOWN or set(params) - _PARAMS:
            raise Refusal(400, "ValidationError")
        if params["width"] % 64 or params["height"] % 64:
            raise Refusal(400, "ValidationError")
        if not isinstance(params.get("seed", ""), str):
            raise Refusal(400, "ValidationError")
        return Asked(
            prompt=body["prompt"].partition(" ### ")[0],
            model=body["models"][0],
            width=params["width"],
            height=params["height"],
            n=params.get("n", 1),
            image_format="webp",
            images=[decoded(body["source_image"])] if "source_image" in body else [],
            mask=decoded(body["source_mask"]) if "source_mask" in body else None,
            fields=body,
        )

    def rejected(self, asked: Asked) -> web.Response:
        return self.refused(Refusal(400, "CorruptPrompt"))

    def unmanned(self, _: Asked) -> web.Response:
        return self.refused(Refusal(400, "NoValidWorkers"))

    def impossible(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "impossible")

    def censored(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "censored")

    def failed(self, asked: Asked) -> web.Response:
        return self.ends_in(asked, "faulted")

    def submitted(self, asked: Asked) -> web.Response:
        return web.json_response({"id": asked.id, "kudos": 11.0}, status=202)

    async def _check(self, request: web.Request) -> web.Response:
        task = request.match_info["id"]
        try:
            outcome = self.look(task)
        except KeyError:
            return self.refused(Refusal(404, "RequestNotFound"))
        made = {} if outcome else {"finished": len(self._results[task]) // 2}
        return web.json_response(_state(outcome) | made)

    async def _status(self, request: web.Request) -> web.Response:
        outcome = self.look(request.match_info["id"])
        assert outcome is not None
        more: dict[str, Any] = {"state": "ok", "censored": False, "gen_metadata": []}
        if isinstance(outcome, str):
            outcome = [b""]
            why = {"type": "censorship", "value": "nsfw"}
            more |= {"censored": True, "gen_metadata": [why]}
        items = [
            {
                "id": f"{index}",
                "img": self.url_of(item),
                "seed": "1",
                **more,
                "worker_name": "a volunteer",
            }
            for index, item in enumerate(outcome)
        ]
        return web.json_response({**_state(outcome), "generations": items})

    def refused(self, refusal: Refusal) -> web.Response:
        code = _RCS.get(refusal.status, refusal.kind)
        if refusal.kind == "unpaid":  # no 402 here
            refusal.status, code = 403, "KudosUpfront"
        body = {"message": "told in many words", "rc": code}
        return web.json_response(body, status=refusal.status)


def _state(outcome: Any) -> dict[str, Any]:
    faulted, waiting = outcome == "faulted", outcome in (None, "impossible")
    return {
        "finished": len(outcome) if isinstance(outcome, list) else 0,
        "processing": 1 if outcome is None else 0,
        "waiting": 0,
        "done": not waiting and not faulted,
        "faulted": faulted,
        "wait_time": 1,
        "queue_position": 0,
        "kudos": 11.0,
        "is_possible": outcome != "impossible",
    }

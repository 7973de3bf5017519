"""Azure's v1 API over OpenAI's own rules; proven by `openai`."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.openai_forms import check_files, read_form
from tests.fakes.openai_rules import Refusal as OpenAIRefusal
from tests.fakes.openai_rules import check
from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import inline
from tests.fakes.upstreams.words import KEY, Asked, Refusal, Result


class AzureOpenAIFake(Fake):
    """Two deployments, whose names say little of their models.

    Attributes:
        deployments: What was deployed under each name.
    """

    adapter: ClassVar[str] = "azure_openai"
    model: ClassVar[str] = "images-eu"
    base_path: ClassVar[str] = "/openai/v1"
    edits: ClassVar[bool] = True
    masks: ClassVar[bool] = True
    deployments: ClassVar[dict[str, str]] = {
        "images-eu": "gpt-image-2",
        "old-dall-e": "dall-e-3",
    }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/openai/v1/images/{operation:generations|edits}", self.handle)
        ]

    async def read(self, request: web.Request) -> Asked:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if KEY not in (request.headers.get("api-key"), bearer):
            raise Refusal(401, "401")
        edit = request.match_info["operation"] == "edits"
        try:
            fields, files = await read_form(request) if edit else ({}, [])
            fields = fields or await request.json()
            deployment = fields.get("model", "")
            if deployment not in self.deployments:
                raise Refusal(404, "DeploymentNotFound")
            known = {**fields, "model": self.deployments[deployment]}
            operation = "edit" if edit else "generation"
            call = check(known, operation=operation, compatible=False)
            if edit:
                check_files(known, files, operation=operation, compatible=False)
        except OpenAIRefusal as exc:
            raise Refusal(exc.status, str(exc.body["error"]["code"])) from exc
        masks = [file.data for file in files if file.name == "mask"]
        return Asked(
            prompt=call.prompt,
            model=deployment,
            width=call.width,
            height=call.height,
            n=call.n,
            image_format=call.image_format,
            images=[file.data for file in files if file.name != "mask"],
            mask=masks[0] if masks else None,
            fields=fields,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        items = [{"b64_json": inline(result)} for result in results]
        usage = {"input_tokens": 10, "output_tokens": 272 * asked.n}
        return web.json_response(
            {"created": 1, "data": items, "usage": usage},
            headers={"apim-request-id": asked.id},
        )

    def rejected(self, asked: Asked) -> web.Response:
        return self.refused(Refusal(400, "content_policy_violation"))

    def filtered(self, asked: Asked) -> web.Response:
        """Refuse as the filter before the model does."""
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_results": {}}
        return self.refused(Refusal(400, "BadRequest", inner_error=inner))

    def out_of_quota(self, asked: Asked) -> web.Response:
        return self.refused(Refusal(429, "insufficient_quota"))

    def refused(self, refusal: Refusal) -> web.Response:
        error: dict[str, Any] = {"code": refusal.kind, "message": "in many words"}
        if "inner_error" in refusal.more:
            error["inner_error"] = refusal.more["inner_error"]
        return web.json_response({"error": error}, status=refusal.status)

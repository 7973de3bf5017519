"""Where one begins: a prompt, what it will cost, and the images as they come."""

from typing import Any

import orjson
from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api import limits
from service.api.context import FRONT, TRACE
from service.api.dashboard.frame import Pages
from service.api.dashboard.job import shown
from service.api.dashboard.models import Choice, choices, needs_of
from service.api.dashboard.rendering import page, wants_part
from service.api.dashboard.snippets import snippets_of
from service.api.multipart import read_form
from service.api.problems import problem_of
from service.api.submitting import spool_of, submit
from service.core.errors import RequestError, ServiceError
from service.core.jobs import Job
from service.core.requests import Priority
from service.core.sizing import Size, nearest_ratio
from service.intake import Terms
from service.intake.draft import Draft
from service.intake.fields import read_fields
from service.intake.preview import Preview, preview
from service.intake.uploads import NO_UPLOADS

pages = Pages(scope=Scope.GENERATE)

RATIOS = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16")
_LATEST = 12
_KEPT = ("model", "prompt", "n", "output_format", "quality", "seed", "negative_prompt")
_FIRST = {"output_format": "png", "n": "1"}


@pages.get("/ui/playground")
async def show_playground(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show the form, as it was filled in for `?from=`, and what became of `?job=`."""
    query = request.query
    job = await _found(request, key, query.get("job", ""))
    source = job or await _found(request, key, query.get("from", ""))
    wish = _FIRST if source is None else _wish_of(source)
    said = {name: query[name] for name in _KEPT if name in query}
    return await _page(request, key, wish={**wish, **said}, job=job)


@pages.post("/ui/playground")
async def make_images(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Submit what the form asks for; what is wrong is said beside it."""
    front = request.app[FRONT]
    wish: dict[str, Any] = dict(_FIRST)
    try:
        await limits.count(request, key)
        fields, uploads = await read_form(
            request, limits=front.settings.limits, spool=spool_of(request)
        )
        wish = {n: _plain(v) for n, v in fields.items() if v != ""}
        accepted = await submit(
            request,
            read_fields(Draft, wish, text=True),
            key=key,
            terms=Terms(priority=Priority.INTERACTIVE),
            operation="edit" if uploads.images else "generate",
            uploads=uploads,
        )
    except ServiceError as exc:
        problem = problem_of(exc)
        if problem is None:
            raise
        request[TRACE].code = exc.code
        return await _page(
            request, key, wish=wish, status=problem.status, wrong=problem
        )
    place = f"/ui/playground?job={accepted.job.id}"
    if not wants_part(request):
        return web.Response(status=303, headers={"Location": place})
    job = await front.backends.jobs.get(accepted.job.id, account=key.account)
    answer = await _page(request, key, wish=wish, job=job)
    answer.headers["HX-Push-Url"] = place
    return answer


@pages.get("/ui/playground/price")
async def show_price(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Say what the form as it stands would cost, and when it would begin."""
    front = request.app[FRONT]
    fields = {n: v for n, v in request.query.items() if v and n != "job"}
    seen: Preview | None = None
    needs: tuple[str, ...] = ()
    wrong: str | None = None
    eta_s: int | None = None
    try:
        draft = read_fields(Draft, {**fields, "prompt": "any"}, text=True)
        seen = await _previewed(request, key, draft)
        model = front.catalog.model(draft.model)
        needs = needs_of(model, front.catalog)
        eta_s = front.waiters.pace.eta_s(seen.position)
    except RequestError as exc:
        wrong = str(exc)
    price = None if seen is None else seen.composed.price
    return page(
        request,
        "playground_price.html",
        key=key,
        seen=seen,
        usd=None if price is None else float(price.usd),
        source=None if price is None else price.source,
        needs=needs,
        workers=front.fleet.workers,
        wrong=wrong,
        eta_s=eta_s,
    )


async def _previewed(request: web.Request, key: ApiKey, draft: Draft) -> Preview:
    front = request.app[FRONT]
    return await preview(
        draft,
        key=key,
        operation="generate",
        uploads=NO_UPLOADS,
        terms=Terms(priority=Priority.INTERACTIVE),
        catalog=front.catalog,
        fleet=front.fleet,
        jobs=front.backends.jobs,
    )


async def _page(
    request: web.Request,
    key: ApiKey,
    *,
    wish: dict[str, Any],
    job: Job | None = None,
    **about: Any,
) -> web.Response:
    front = request.app[FRONT]
    view = None if job is None else await shown(front, job)
    models = await choices(front, key)
    latest = await front.backends.jobs.list_jobs(key.account, limit=_LATEST)
    base_url = front.settings.base_url
    default = front.settings.default_model or _best(models)
    return page(
        request,
        "playground.html",
        key=key,
        part="result",
        wish={**dict.fromkeys((*_KEPT, "aspect_ratio"), ""), "model": default, **wish},
        models=models,
        ratios=RATIOS,
        job=view,
        snippets=view and snippets_of(view["request"], base_url=base_url),
        raw=orjson.dumps(view, option=orjson.OPT_INDENT_2).decode(),
        latest=[front.views.job(one) for one in latest.jobs if one.images],
        **{"wrong": None, **about},
    )


async def _found(request: web.Request, key: ApiKey, job_id: str) -> Job | None:
    if not job_id:
        return None
    return await request.app[FRONT].backends.jobs.get(job_id, account=key.account)


def _wish_of(job: Job) -> dict[str, Any]:
    asked = job.request
    wish = {name: getattr(asked, name) for name in _KEPT}
    if asked.requested_size is not None:
        size = Size(asked.width, asked.height)
        wish["aspect_ratio"] = nearest_ratio(size, RATIOS)
    return {name: value for name, value in wish.items() if value is not None}


def _best(models: list[Choice]) -> str:
    return models[0].name if models else ""


def _plain(value: Any) -> Any:
    """Return text with our line ends; browsers send those of Windows."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value

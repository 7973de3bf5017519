"""The newest images of the account, in rows that fill the page."""

from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api.context import FRONT
from service.api.dashboard.frame import Pages
from service.api.dashboard.rendering import page
from service.core.jobs import Job, is_job_id

pages = Pages(scope=Scope.GENERATE)

_PER_PAGE = 40


@pages.get("/ui/gallery")
async def show_gallery(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show what was drawn, newest first."""
    front, after = request.app[FRONT], request.query.get("after", "")
    listed = await front.backends.jobs.list_jobs(
        key.account,
        limit=_PER_PAGE,
        after=after if is_job_id(after) else None,
        matches=_has_images,
    )
    return page(
        request,
        "gallery.html",
        key=key,
        part="pictures",
        jobs=[front.views.job(job) for job in listed.jobs],
        older=f"/ui/gallery?after={listed.jobs[-1].id}" if listed.more else None,
        is_first=not after,
    )


def _has_images(job: Job) -> bool:
    return bool(job.images) and not job.ephemeral

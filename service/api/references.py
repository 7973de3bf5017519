"""Jobs in paths: by the id that is ours, or by what their caller called them."""

from aiohttp import web

from service.accounts import ApiKey
from service.api.context import FRONT
from service.core.jobs import JobId


async def job_id_of(request: web.Request, key: ApiKey) -> JobId:
    """Return the id of the job that the path names.

    Raises:
        JobNotFound: It is nobody's id, nor an alias of the account's.
    """
    jobs = request.app[FRONT].backends.jobs
    return await jobs.resolve(request.match_info["job_id"], account=key.account)

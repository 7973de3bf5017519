"""What the fleet knows of providers, for commands that can do without it."""

from typing import TYPE_CHECKING

from service.cli.context import with_redis
from service.cli.failure import Failure
from service.cli.output import say

if TYPE_CHECKING:
    from service.core.catalog import Catalog
    from service.job_store.gates import Gates
    from service.settings import Settings


async def seen_gates(settings: "Settings", catalog: "Catalog") -> "Gates | None":
    """Return the gates of all the catalog's routes; None, and a note, without Redis."""
    from service.job_store.gates import read_gates

    routes = {str(r) for model in catalog.models.values() for r in model.routes}
    try:
        return await with_redis(
            settings, lambda redis: read_gates(redis, sorted(routes))
        )
    except Failure as exc:
        say(f"note: {exc.what}, so nothing is known of the fleet")
        return None

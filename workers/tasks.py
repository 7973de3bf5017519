"""Upstream tasks of one attempt: on record before anybody looks at them."""

from collections.abc import Sequence

from service.core.catalog import Route
from service.job_store.lease import Kept, Lease
from service.job_store.leases import Leases


class Tasks:
    """What a provider has been given to do for a job, on one route.

    Attributes:
        route: Where they are.
        known: Their handles, those of an earlier claim first.
    """

    def __init__(self, leases: Leases, lease: Lease, route: Route) -> None:
        self._leases, self._lease, self.route = leases, lease, route
        self.known: tuple[str, ...] = ()
        if lease.kept is not None and lease.kept.route == str(route):
            self.known = lease.kept.tasks

    @property
    def kept(self) -> Kept | None:
        """What is on record of them; None: there are none."""
        return Kept(str(self.route), self.known) if self.known else None

    async def keep(self, tasks: Sequence[str]) -> None:
        """Put all handles so far on record; see `Call.keep_tasks`.

        Waits for a Redis that is away: a task nobody can find is bought again.
        """
        self.known = tuple(tasks)
        await self._leases.keep(self._lease, Kept(str(self.route), self.known))

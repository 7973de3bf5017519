"""What a fake has that is a server of somebody's, on a free port of 127.0.0.1."""

from collections.abc import Sequence
from typing import Self

from aiohttp import web


class Served:
    """Serves while the context is open, and lets nobody finish at its end.

    Attributes:
        url: Where, without a slash behind.
    """

    port: int
    url: str

    def routes(self) -> Sequence[web.RouteDef]:
        """Return what is answered by what."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

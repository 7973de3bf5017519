"""The limit: an aiohttp handler that does nothing at all."""

from aiohttp import web

from tests.bench.contenders._door import run


async def answer(request: web.Request) -> web.Response:
    return web.Response()


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/v1/jobs", answer)
    app.router.add_get("/v1/jobs/{id}", answer)
    run(app)

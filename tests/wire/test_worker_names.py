"""Who a worker says it is: its claims are remembered under that name."""

from pathlib import Path

from service.catalog_file import LiveCatalog
from service.settings import PACKAGED_CATALOG, load_settings
from workers.__main__ import make_worker


async def test_a_restarted_worker_is_not_taken_for_its_dead_namesake(
    shared_valkey, tmp_path: Path
):
    settings = load_settings(redis_url=shared_valkey.url, data_dir=tmp_path)
    live = LiveCatalog(PACKAGED_CATALOG)

    async with make_worker(settings, live) as dead:
        pass
    async with make_worker(settings, live) as restarted:
        pass

    assert restarted.name != dead.name

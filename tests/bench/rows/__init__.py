"""The rows, in the order in which they run."""

from tests.bench.rows.accept import ACCEPT
from tests.bench.rows.bulk import BULK
from tests.bench.rows.cached import CACHED
from tests.bench.rows.contention import DOORS, WORKERS
from tests.bench.rows.drain import DRAIN
from tests.bench.rows.growth import GROWTH
from tests.bench.rows.images import IMAGES, MATRIX
from tests.bench.rows.latency import LATENCY
from tests.bench.rows.memory import CALLS, MEMORY, STREAMS
from tests.bench.rows.one_caller import ONE_CALLER
from tests.bench.rows.polls import POLLS
from tests.bench.rows.webhooks import WEBHOOKS

_ALL = (
    ACCEPT,
    BULK,
    POLLS,
    LATENCY,
    DRAIN,
    IMAGES,
    MATRIX,
    ONE_CALLER,
    CACHED,
    WEBHOOKS,
    WORKERS,
    DOORS,
    GROWTH,
    MEMORY,
    CALLS,
    STREAMS,
)
ROWS = {row.name: row for row in _ALL}

"""OpenStack Swift in one process: account, container, object and proxy server.

Run by the system's Python, which has Swift (Debian: `python3-swift`), as
`swift_server.py FOLDER LOCATION`. Prints the port of its S3 API once it listens, and
stops when its standard input ends, so that it never outlives who started it.
"""

import sys
from pathlib import Path

import eventlet
from eventlet import hubs, wsgi
from swift.common import storage_policy, utils
from swift.common.http_protocol import SwiftHttpProtocol
from swift.common.ring import RingBuilder
from swift.common.wsgi import loadapp

DEFAULTS = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_level = CRITICAL
"""
STORAGE = """
[pipeline:main]
pipeline = server
[app:server]
use = egg:swift#{name}
"""
# Nothing listens on port 1: tempauth wants a cache, and is content with one that
# never answers.
PROXY = """
[pipeline:main]
pipeline = catch_errors cache s3api tempauth proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
allow_multipart_uploads = false
location = {location}
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""
POLICY = """
[swift-hash]
swift_hash_path_suffix = tests
[storage-policy:0]
name = single
default = yes
"""


def main(folder: Path, location: str) -> None:
    eventlet.monkey_patch()
    (folder / "devices" / "disk").mkdir(parents=True)
    (folder / "swift.conf").write_text(POLICY)
    utils.set_swift_dir(str(folder))
    storage_policy.reload_storage_policies()
    sockets = {
        name: eventlet.listen(("127.0.0.1", 0))
        for name in ("account", "container", "object", "proxy")
    }
    for name, socket in sockets.items():
        body = PROXY if name == "proxy" else STORAGE
        config = folder / f"{name}.conf"
        config.write_text(
            (DEFAULTS + body).format(folder=folder, name=name, location=location)
        )
        if name != "proxy":
            make_ring(folder / f"{name}.ring.gz", socket.getsockname()[1])
    for name, socket in sockets.items():
        eventlet.spawn(
            wsgi.server,
            socket,
            loadapp(str(folder / f"{name}.conf"), global_conf={"log_name": name}),
            log=utils.NullLogger(),
            protocol=SwiftHttpProtocol,
            capitalize_response_headers=False,
        )
    sys.stdout.write(f"{sockets['proxy'].getsockname()[1]}\n")
    sys.stdout.flush()
    hubs.trampoline(sys.stdin.fileno(), read=True)


def make_ring(path: Path, port: int) -> None:
    """Write a ring of one device, which holds the only copy of everything."""
    builder = RingBuilder(part_power=1, replicas=1, min_part_hours=1)
    device = {"id": 0, "region": 1, "zone": 1, "weight": 1, "device": "disk"}
    builder.add_dev({**device, "ip": "127.0.0.1", "port": port})
    builder.rebalance()
    builder.get_ring().save(str(path))


main(Path(sys.argv[1]), sys.argv[2])

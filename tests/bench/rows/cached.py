"""How often a second an image that is made already is shown by its link."""

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from tests.bench.figures import Contenders, Effort, Goal, Row, Sample, Skipped
from tests.bench.peers import ROOT
from tests.bench.pngs import PICTURES, slug
from tests.bench.rows._doors import load
from tests.bench.rows._studios import Studio, asked, darkroom_studio, upstream
from tests.bench.stand import program
from tests.chaos.program import reserved_port

_SECONDS = 3.0
_PICTURE = next(iter(PICTURES))
_OURS = ROOT / "infra" / "nginx" / "darkroom.conf"
_LISTEN = "listen 127.0.0.1:PORT;"
_CONF = """
daemon off; master_process off; pid FOLDER/pid; error_log stderr;
events { worker_connections 1024; }
http {
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
    client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/f; uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
    SERVERS
}
"""
_FILES = f"""
server {{
    {_LISTEN}
    root %s;
    open_file_cache max=1000;
    default_type image/png;
}}
"""


@contextmanager
def _contenders() -> Iterator[Contenders]:
    with ExitStack() as stack:
        studio = stack.enter_context(darkroom_studio(stack.enter_context(upstream())))
        link, file = _made(studio)
        front = _OURS.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{studio.port}")
        before = stack.enter_context(_nginx(front.replace("listen 80;", _LISTEN)))
        alone = stack.enter_context(_nginx(_FILES % file.parent))
        yield {
            "Darkroom": partial(_shown, studio.port, link),
            "Darkroom behind nginx": partial(_shown, before, link),
            "nginx": partial(_shown, alone, f"/{file.name}"),
        }


def _made(studio: Studio) -> tuple[str, Path]:
    """Return a signed link whose image is made, and where that lies."""
    wish = orjson.dumps({"model": slug(_PICTURE), "prompt": "a red fox"}).decode()
    signed = orjson.loads(asked(studio.port, "POST", "/v1/embed/sign", wish).body)
    link = urlsplit(signed["url"])
    path = f"{link.path}?{link.query}"
    data = asked(studio.port, "GET", path).body
    assert studio.kept is not None
    files = (file for file in studio.kept.glob("jobs/*/*/0"))
    return path, next(file for file in files if file.read_bytes() == data)


@contextmanager
def _nginx(servers: str) -> Iterator[int]:
    """Run one process of it; yield its port, which `servers` calls PORT."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise Skipped("nginx is not installed")
    with tempfile.TemporaryDirectory() as folder, reserved_port() as port:
        conf = Path(folder, "nginx.conf")
        servers = servers.replace("PORT", str(port))
        conf.write_text(_CONF.replace("FOLDER", folder).replace("SERVERS", servers))
        words = ("-e", "stderr", "-p", folder, "-c", str(conf))
        with program(found, *words) as running:
            running.wait_until(lambda: _listens(port), every_s=0.02)
            yield port


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def _shown(port: int, path: str, effort: Effort) -> Sample:
    return load(port, _SECONDS * effort.scale, "look", path)


CACHED = Row(
    name="cached",
    title="An image by its link, made before (embed HIT)",
    about=(
        f"A signed link, opened over 64 connections; a PNG of {_PICTURE}. Ours checks "
        "the signature and that its key is still valid, looks up the job and reads "
        "the image. One process of each; behind nginx, `infra/nginx/darkroom.conf`. "
        "`nginx` sends the same file with sendfile and an open_file_cache."
    ),
    figure="answers/s",
    more_is_better=True,
    contenders=_contenders,
    goals=(
        Goal(rivals=("nginx",), reach=0.5),
        Goal(
            rivals=("nginx",),
            reach=0.5,
            aim=0.9,
            ours="Darkroom behind nginx",
        ),
    ),
)

"""Receive webhooks with the standard library.

    receiver.py 3000

WEBHOOK_SECRET is what signs them: `darkroom listen --print-secret`, or the
secret that `POST /v1/endpoints` answered with.
"""

import base64
import hashlib
import hmac
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = os.environ["WEBHOOK_SECRET"]
MOST_BYTES = 2**20
TODO: queue.Queue[Any] = queue.Queue()


def is_genuine(body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    """Whether Darkroom sent `body`, within the last five minutes."""
    event, at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(at)) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    message = f"{event}.{at}.".encode() + body
    expected = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest())
    given = headers["webhook-signature"].encode().split()
    return any(hmac.compare_digest(b"v1," + expected, one) for one in given)


class Receiver(BaseHTTPRequestHandler):
    """Answers at once; the work waits in a queue. Yours should outlive the process."""

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(min(length, MOST_BYTES))
        try:
            genuine = is_genuine(body, self.headers, SECRET)
        except (TypeError, ValueError):  # headers are missing, or no numbers
            genuine = False
        self.send_response(204 if genuine else 401)
        self.end_headers()
        if genuine:
            TODO.put(json.loads(body))


def work() -> None:
    """Take each event once, though it may come twice."""
    seen = set()
    while True:
        event = TODO.get()
        if event["id"] not in seen:
            seen.add(event["id"])
            print(event["type"], event["data"]["id"], flush=True)


if __name__ == "__main__":
    threading.Thread(target=work, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()

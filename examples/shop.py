"""A page whose images are made when somebody looks.

    shop.py 3001

The links are signed here, on the server: the page holds no key. Each image is made
once, for all who look, and nobody pays for one that nobody opens.
"""

import html
import json
import os
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

URL, KEY = os.environ["DARKROOM_URL"], os.environ["DARKROOM_API_KEY"]
GOODS = ["a blue glass cube", "a red tin lighthouse", "a yellow wooden boat"]


def link_to(prompt: str) -> str:
    """Return a link that shows the image of the prompt for thirty days."""
    body = json.dumps({"model": "test/test", "prompt": prompt}).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{URL}/v1/embed/sign", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["url"]


def page() -> bytes:
    images = [
        f'<img src="{html.escape(link_to(goods))}" alt="{goods}">' for goods in GOODS
    ]
    return ("<!doctype html><title>Shop</title>\n" + "\n".join(images)).encode()


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = page()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()

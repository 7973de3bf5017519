"""Make one image with the standard library.

    generate.py "a lighthouse" lighthouse.png

The same prompt and file are the same job, however often this runs within a day: the
Idempotency-Key follows from both. So after a crash, run it again.
"""

import hashlib
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

URL, KEY = os.environ["DARKROOM_URL"], os.environ["DARKROOM_API_KEY"]


def ask(path: str, body: Any = None, **headers: str) -> Any:
    """Send a request, a POST where there is a body; return the JSON it answers."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(URL + path, data, sent | headers)
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        error = json.load(refused)["error"]
        sys.exit(f"{error['code']}: {error['message']}")


def main(prompt: str, file: Path) -> None:
    name = hashlib.sha256(f"{prompt}\0{file}".encode()).hexdigest()
    body = {"model": "test/test", "prompt": prompt}
    job = ask("/v1/jobs", body, **{"Idempotency-Key": name})
    while job["status"] in {"queued", "running"}:
        job = ask(f"/v1/jobs/{job['id']}?wait=60")
    if job["status"] != "succeeded":
        sys.exit(f"{job['id']} {job['status']}: {job['error']['message']}")

    with urllib.request.urlopen(job["result"]["data"][0]["url"]) as image:
        file.write_bytes(image.read())
    print(f"{file}: {job['id']}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

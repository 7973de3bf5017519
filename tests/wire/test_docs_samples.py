"""Every command line of the document does what it says, pasted into a shell."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.api.openapi.documents import document_of
from tests.fakes.pictures import draw
from tests.fuzz.sending import FILES
from tests.fuzz.stand import SECRET, Stand, stand

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None and "CI" not in os.environ, reason="needs curl"
)

_SAY_THE_STATUS = "curl() { command curl -sS -w '%{stderr}%{http_code}' \"$@\"; }\n"
_YOURS = "/path/to/your/image.webp"
_NAME = "calendar-2027-01"
"""What a job is called in several samples, which differ in its content."""
_NOT_HERE = ("example.com", "/images/$KEY", "<img", "/v1/events?")
"""What leads out of the house, wants a signature, is no command, or never ends."""


@pytest.fixture(scope="module")
def here() -> Iterator[Stand]:
    with stand(jobs=3) as started:
        yield started


def samples() -> Iterator[Any]:
    for methods in document_of("http://127.0.0.1")["paths"].values():
        for operation in methods.values():
            for sample in operation["x-codeSamples"]:
                name = f"{operation['operationId']}-{sample['label']}"
                if not any(word in sample["source"] for word in _NOT_HERE):
                    yield pytest.param(operation, sample["source"], id=name)


@pytest.mark.parametrize(("operation", "command"), list(samples()))
def test_command_line_does_what_it_says(
    operation: dict[str, Any], command: str, here: Stand, tmp_path: Path
):
    (tmp_path / "lighthouse.png").write_bytes(draw("a", width=16, height=16))
    (tmp_path / "sky.png").write_bytes(FILES["@mask"])
    (tmp_path / "requests.jsonl").write_bytes(b"{}\n")
    command = command.replace(_YOURS, "lighthouse.png")
    command = command.replace(_NAME, f"calendar-{secrets.token_hex(4)}")
    good = {status for status in operation["responses"] if status < "400"}
    if operation["operationId"] == "release_job":
        good = {"409"}  # no job of theirs is held

    ran = subprocess.run(
        ["bash", "-euc", _SAY_THE_STATUS + command],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **variables(operation, here)},
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert ran.stderr.decode() in good, (ran.stdout, ran.stderr)


def variables(operation: dict[str, Any], here: Stand) -> dict[str, str]:
    """What differs from reader to reader."""
    spent = operation["operationId"] == "delete_job"
    job_id = here.jobs.pop() if spent else here.jobs[0]
    if operation["operationId"] == "cancel_job":
        slow = {"model": "test/slow-30", "prompt": "a snail"}
        job_id = here.post("/v1/jobs", slow)["id"]
    gone = operation["operationId"] == "delete_file"
    file_id = here.files.pop() if gone else here.files[0]
    endpoint_id = here.endpoints[operation["operationId"] == "change_endpoint"]
    if operation["operationId"] == "delete_endpoint":
        endpoint_id = here.endpoints.pop()
    batch_id = here.batches[0]
    if operation["operationId"] == "cancel_batch":
        batch_id = here.slow_batch()
    key_id = ""
    if operation["operationId"] == "revoke_key":
        key_id = here.post("/v1/keys", {"account": "reader"})["id"]
    return {
        "URL": here.base_url,
        "KEY": SECRET,
        "JOB_ID": job_id,
        "FILE_ID": file_id,
        "ENDPOINT_ID": endpoint_id,
        "DELIVERY_ID": here.deliveries[0],
        "BATCH_ID": batch_id,
        "KEY_ID": key_id,
        "PROVIDER": "test",
    }

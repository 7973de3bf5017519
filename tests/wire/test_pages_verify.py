"""The checks of webhooks that the page shows believe what is ours and nothing else.

That in Python is held to the same by `tests/unit/test_webhook_rules.py`.
"""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from service.core.webhooks import new_secret, signed
from tests.conformance.tools import tool
from tests.fakes.snippets import ROOT, blocks

BODY = '{"id": "evt_1", "prompt": "Leuchtfeuer \N{GLOWING STAR}"}'


def shown(language: str) -> str:
    [block] = [b for b in blocks("docs/webhooks.md") if b.language == language]
    return block.code


def cases() -> tuple[list[Any], list[bool]]:
    """Return body, headers and secret of several webhooks, and which are genuine."""
    now_s, old, new, strange = (
        int(time.time()),
        new_secret(),
        new_secret(),
        new_secret(),
    )
    both = signed(BODY.encode(), event="evt_1", at_s=now_s, secrets=[new, old])
    stale = signed(BODY.encode(), event="evt_1", at_s=now_s - 400, secrets=[new])
    early = signed(BODY.encode(), event="evt_1", at_s=now_s + 400, secrets=[new])
    renamed = both | {"webhook-id": "evt_2"}
    redated = both | {"webhook-timestamp": str(now_s + 1)}
    return [
        [BODY, both, new],
        [BODY, both, old],
        [BODY, both, strange],
        [BODY + " ", both, new],
        [BODY, renamed, new],
        [BODY, redated, new],
        [BODY, stale, new],
        [BODY, early, new],
    ], [True, True] + [False] * 6


def ran(*command: str, given: str, cwd: Path) -> str:
    return subprocess.run(
        command, input=given, cwd=cwd, capture_output=True, text=True, check=True
    ).stdout


def of_receiver() -> str:
    """Return the check of the example, which is a module that listens."""
    program = (ROOT / "examples" / "receiver.mjs").read_text()
    code = program.partition("export ")[2].partition("createServer(async")[0]
    return 'import { createHmac, timingSafeEqual } from "node:crypto";\n' + code


@pytest.mark.parametrize("code", [shown("js"), of_receiver()], ids=["page", "example"])
def test_in_javascript(code: str, tmp_path: Path):
    sent, expected = cases()
    each = "([body, headers, secret]) => isGenuine(Buffer.from(body), headers, secret)"
    program = f"{code}\nconsole.log(JSON.stringify({json.dumps(sent)}.map({each})));"

    told = ran(tool("node"), "--input-type=module", "-", given=program, cwd=tmp_path)

    assert json.loads(told) == expected


def test_in_a_shell(tmp_path: Path):
    tool("openssl")
    sent, expected = cases()
    lines = [shown("bash")]
    for number, (body, headers, secret) in enumerate(sent):
        (tmp_path / str(number)).write_text(body)
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        words = [str(number), *(f"'{headers[name]}'" for name in names), secret]
        lines.append(f"is_genuine {' '.join(words)} && echo true || echo false")

    told = ran(tool("bash"), given="\n".join(lines), cwd=tmp_path)

    assert [line == "true" for line in told.split()] == expected

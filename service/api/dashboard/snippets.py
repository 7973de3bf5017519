"""The request of a job as other programs would send it: to copy, and to run."""

import json
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

_SENT = (
    *("model", "prompt", "n", "size", "quality", "style", "background"),
    *("output_format", "seed", "negative_prompt"),
)
_OPENAI = frozenset(
    ("model", "prompt", "n", "size", "quality", "style", "background", "output_format")
)


class Snippets(NamedTuple):
    """One request, in three languages."""

    curl: str
    python: str
    javascript: str


def snippets_of(request: Mapping[str, Any], *, base_url: str) -> Snippets:
    """Return how the request is sent; references stand there by a name of their own.

    Args:
        request: As a job shows it.
        base_url: Where this service is.
    """
    fields = {n: request[n] for n in _SENT if request.get(n) not in (None, "")}
    references = len(request.get("images", ()))
    return Snippets(
        curl=_curl(fields, references, base_url),
        python=_python(fields, references, base_url),
        javascript=_javascript(fields, references, base_url),
    )


def _curl(fields: Mapping[str, Any], references: int, base_url: str) -> str:
    key = '  -H "Authorization: Bearer $DARKROOM_API_KEY"'
    if references:
        lines = [f"curl {base_url}/v1/images/edits", key]
        for name, value in fields.items():
            lines.append("  --form-string " + shlex.quote(f"{name}={value}"))
        lines += [f"  -F 'image[]=@reference-{i}.png'" for i in _numbers(references)]
    else:
        body = json.dumps(fields, ensure_ascii=False)
        lines = [
            f"curl {base_url}/v1/images/generations",
            key,
            "  -H 'Content-Type: application/json'",
            f"  -d {shlex.quote(body)}",
        ]
    return " \\\n".join(lines)


def _python(fields: Mapping[str, Any], references: int, base_url: str) -> str:
    lines = [f"    {name}={value!r}," for name, value in _named(fields)]
    if references:
        files = ", ".join(
            f'open("reference-{i}.png", "rb")' for i in _numbers(references)
        )
        lines.append(f"    image=[{files}],")
    extra = _others(fields)
    if extra:
        lines.append(f"    extra_body={extra!r},")
    return "\n".join(
        [
            "import os",
            "",
            "from openai import OpenAI",
            "",
            "client = OpenAI(",
            f'    base_url="{base_url}/v1", api_key=os.environ["DARKROOM_API_KEY"]',
            ")",
            f"answer = client.images.{'edit' if references else 'generate'}(",
            *lines,
            ")",
            "for image in answer.data:",
            "    print(image.url or len(image.b64_json))",
        ]
    )


def _javascript(fields: Mapping[str, Any], references: int, base_url: str) -> str:
    said = {**dict(_named(fields)), **_others(fields)}
    lines = [f"  {n}: {json.dumps(v, ensure_ascii=False)}," for n, v in said.items()]
    call = "edit" if references else "generate"
    imports = ['import OpenAI from "openai";']
    if references:
        imports.insert(0, 'import fs from "node:fs";')
        files = ", ".join(
            f'fs.createReadStream("reference-{i}.png")' for i in _numbers(references)
        )
        lines.append(f"  image: [{files}],")
    return "\n".join(
        [
            *imports,
            "",
            "const client = new OpenAI({",
            f'  baseURL: "{base_url}/v1",',
            "  apiKey: process.env.DARKROOM_API_KEY,",
            "});",
            f"const answer = await client.images.{call}({{",
            *lines,
            "});",
            "for (const image of answer.data) console.log(image.url);",
        ]
    )


def _named(fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in fields.items() if name in _OPENAI]


def _others(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in _OPENAI}


def _numbers(references: int) -> range:
    return range(1, references + 1)

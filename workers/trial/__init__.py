"""One smallest image through one provider's adapter, outside the queue.

`python -m workers test NAME` says on stderr what it asks for and what that costs,
before it does; what it came to is a line of JSON on stdout. Neither Redis nor the
store is needed.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service import logs
from service.catalog_file import load_catalog
from service.core.catalog import ProviderEntry
from service.core.errors import (
    BadImage,
    BadOutput,
    CatalogError,
    ProviderAmbiguous,
    ProviderError,
    Unavailable,
)
from service.core.provider import Call, Generated, Provider
from service.core.requests import GenerationRequest
from service.imaging import Imaging
from service.outbound import Outbound
from service.provider_keys import KeyMissing, api_key
from service.settings import ConfigurationError, Settings, load_settings
from workers.keeping import as_asked
from workers.providers import adapter
from workers.trial.plan import NotTestable, Plan, plan_for

_INTERRUPTED = 130
"""As a shell counts it."""
_PROMPT = "a small red fox on white ground"
_FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


def main(arguments: Sequence[str]) -> int:
    """Test as the arguments say; return the exit code.

    0: there is an image; 1: it did not work; 2: there was nothing to ask for.
    """
    given = _read(arguments)
    try:
        settings = load_settings()
        logs.configure(settings.model_copy(update={"log_level": "warning"}))
        catalog = load_catalog(settings.catalog_file)
        plan = plan_for(
            catalog,
            given.provider,
            model=given.model,
            prompt=given.prompt,
            output_format=_format_of(given.output),
        )
        entry = catalog.providers[given.provider]
        key = api_key(entry, os.environ)
        result = asyncio.run(_attempt(plan, entry, key, settings, given.output))
    except (ConfigurationError, CatalogError, NotTestable, KeyMissing) as exc:
        _say(f"darkroom: {exc}")
        return 2
    except (Unavailable, OSError) as exc:
        _say(f"darkroom: {exc}")
        return 1
    except KeyboardInterrupt:
        _say("darkroom: given up; the provider may bill it all the same")
        return _INTERRUPTED
    print(json.dumps(result, ensure_ascii=False))  # noqa: T201 - the result
    return 0 if result["error"] is None else 1


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers test", description=__doc__)
    parser.add_argument("provider")
    parser.add_argument("--model")
    parser.add_argument("--prompt", default=_PROMPT)
    parser.add_argument("--output", type=Path)
    return parser.parse_args(arguments)


async def _attempt(
    plan: Plan,
    entry: ProviderEntry,
    key: str | None,
    settings: Settings,
    output: Path | None,
) -> dict[str, Any]:
    """Say what it asks for, and do; return what came of it, an error where one did."""
    told: dict[str, Any] = {
        "provider": entry.name,
        "adapter": entry.adapter,
        "model": plan.request.model,
        "provider_model": plan.route.provider_model,
    }
    _say(f"asking {plan.route} for an image of {plan.request.size}, {plan.price}")
    imaging, began = Imaging(processes=1), time.monotonic()
    try:
        async with Outbound(settings.outbound) as outbound:
            provider = adapter(entry.adapter)(entry, outbound, key)
            made = await _made(provider, plan, entry.timeout.total_seconds())
        told |= {"ms": _ms_since(began), "upstream_id": made.upstream_id}
        told |= _cost(plan, made)
        return told | await _image(imaging, plan.request, made, output)
    except ProviderError as exc:
        error = {"code": exc.code, "message": str(exc), "billed": exc.billed}
        return {"ms": _ms_since(began)} | told | {"error": error}
    finally:
        await imaging.close()


async def _made(provider: Provider, plan: Plan, within_s: float) -> Generated:
    try:
        async with asyncio.timeout(within_s):
            return await provider.generate(
                plan.request, model=plan.route.provider_model, call=Call()
            )
    except TimeoutError as exc:
        raise ProviderAmbiguous(
            f"the provider did not answer within {within_s:g} s"
        ) from exc


async def _image(
    imaging: Imaging, request: GenerationRequest, made: Generated, output: Path | None
) -> dict[str, Any]:
    try:
        data, facts = await as_asked(imaging, request, made.images[0].data)
    except BadImage as exc:
        raise BadOutput(
            "the provider's answer held no usable image", billed=True
        ) from exc
    if output is not None:
        await asyncio.to_thread(output.write_bytes, data)
    return {
        "size": f"{facts.width}x{facts.height}",
        "content_type": facts.content_type,
        "size_bytes": len(data),
        "file": None if output is None else os.fspath(output),
        "error": None,
    }


def _cost(plan: Plan, made: Generated) -> dict[str, Any]:
    if made.cost_usd is not None:
        return {"cost_usd": float(made.cost_usd), "cost_source": "reported"}
    usd, source = plan.quote or (None, None)
    return {"cost_usd": None if usd is None else float(usd), "cost_source": source}


def _format_of(output: Path | None) -> str:
    """Return the format that the file's name asks for, in a folder to write to."""
    if output is None:
        return "png"
    if output.suffix.lower() not in _FORMATS:
        raise NotTestable(f"{output} must end in {', '.join(_FORMATS)}")
    try:  # found out now, not when the image has been paid for
        tempfile.TemporaryFile(dir=output.parent).close()
    except OSError as exc:
        raise NotTestable(f"cannot write to {output.parent}: {exc.strerror}") from exc
    return _FORMATS[output.suffix.lower()]


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - for the person there

"""The document as a fuzzer should read it: closed, and narrowed to what there is.

A random name is no model's and no job's, so whoever only sends those sees 404 all day.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from tests.fakes.witness import closed
from tests.fuzz.sending import FILES, LINKS
from tests.fuzz.stand import Stand

_ENDLESS = ("/v1/events",)
"""Whoever waits for the end of their answers waits for ever."""
_THINGS = tuple(
    f"/v1/{things}"
    for things in ("jobs", "batches", "files", "endpoints", "deliveries")
)
"""Where all that is made is read, changed and deleted."""
MODELS = ("test/test", "alias", "test/refuse", "test/unknown")


def narrowed(document: dict[str, Any], here: Stand) -> dict[str, Any]:
    """Return a copy that names what there really is and takes no unknown field."""
    copy = closed(document)
    for path in _ENDLESS:
        del copy["paths"][path]
    schemas = copy["components"]["schemas"]
    for name, schema in schemas.items():
        is_draft = name.removesuffix("Form").endswith("Draft")
        if is_draft and "model" in schema["properties"]:
            schema["properties"]["model"]["enum"] = [*MODELS]
        if name.endswith("Form"):
            narrow_files(schema["properties"])
    schemas["ImageLink"] = {"enum": [*LINKS, {"image_url": LINKS[0]}]}
    for example in examples(copy):
        example["value"] = at_home(example["value"], here)
    for parameter in parameters(copy):
        match parameter["name"]:
            case "job_id":
                parameter["schema"] = {"enum": [*here.jobs, "job_unknown"]}
            case "file_id":
                parameter["schema"] = {"enum": [*here.files, "file-unknown"]}
            case "batch_id":
                parameter["schema"] = {"enum": [*here.batches, "batch_unknown"]}
            case "endpoint_id":
                parameter["schema"] = {"enum": [*here.endpoints, "ep_unknown"]}
            case "delivery_id":
                parameter["schema"] = {"enum": [*here.deliveries, "dlv_unknown"]}
            case "Prefer":
                wishes = {"enum": ["wait=1", "respond-async"]}
                parameter["schema"] = {"anyOf": [wishes, {"type": "string"}]}
    return copy


def walkable(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of what has an id, with the examples as its only bodies.

    A body of random fields is refused for one of them, and leads nowhere.
    """
    copy = deepcopy(document)
    copy["paths"] = {
        path: methods
        for path, methods in copy["paths"].items()
        if path.startswith(_THINGS)
    }
    for methods in copy["paths"].values():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {})
            told = content.get("application/json", {}).get("examples")
            if told:
                values = [example["value"] for example in told.values()]
                taken = {"application/json": {"schema": {"enum": values}}}
                operation["requestBody"]["content"] = taken
    return copy


def narrow_files(fields: dict[str, Any]) -> None:
    """Let fields of files take names of ours, which `tests.fuzz.sending` knows."""
    if "image[]" in fields:
        fields["image[]"]["items"] = {"enum": [*FILES]}
    for name in fields.keys() & {"mask", "file"}:
        fields[name] = {"enum": [*FILES]}


def examples(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every example of a JSON body."""
    for methods in document["paths"].values():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {})
            told = content.get("application/json", {}).get("examples", {})
            yield from told.values()


def at_home(value: Any, here: Stand) -> Any:
    """Return an example whose links lead nowhere, and whose files are ours."""
    match value:
        case dict():
            return {name: at_home(inner, here) for name, inner in value.items()}
        case list():
            return [at_home(inner, here) for inner in value]
        case str() if value.startswith("https://hooks."):
            return "https://hooks.invalid/"
        case str() if value.startswith("https:"):
            return LINKS[0]
        case str() if value.startswith("file-"):
            return here.files[0]
    return value


def parameters(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every parameter of every route."""
    for methods in document["paths"].values():
        for operation in methods.values():
            yield from operation["parameters"]

"""Which models there are."""

from dataclasses import replace

from service.api.openapi import codes
from service.api.openapi.operation import STRING, Access, Answer, Operation, Parameter
from service.api.openapi.shapes.models import (
    MappedModel,
    MappedModelV2,
    Model,
    ModelList,
)

TAG = "Models"

_FILTERS = (
    Parameter(
        name="type",
        schema={"enum": ["image", "video", ""]},
        text="What they make; nothing here makes videos.",
    ),
    Parameter(
        name="sort",
        schema={"enum": ["date", "name", "provider", "price", ""]},
        text="`date` is the order of the catalog.",
    ),
    Parameter(name="name", text="A part of the name, in any case."),
    Parameter(name="provider", text="A part of the maker's or a provider's name."),
    Parameter(
        name="free",
        schema={"enum": ["true", "false", ""]},
        text="Whether every image is free.",
    ),
    Parameter(
        name="limit",
        schema={
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 999_999},
                {"const": ""},
            ]
        },
        text="The most models.",
    ),
)
_REFUSES = (*codes.KEY, *codes.QUERY, "invalid_enum", "invalid_pagination")
_MAP = Operation(
    method="GET",
    path="/v1/openai/models",
    id="map_models",
    tag=TAG,
    summary="Map the models by name",
    text="ImageRouter's map. It answers without a key, unless the operator closed it; "
    "with one it shows what that key may ask for.",
    access=Access.EITHER,
    parameters=_FILTERS,
    answers={200: Answer(text="Models by name.", shape=dict[str, MappedModel])},
    refuses=_REFUSES,
)

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/models",
        id="list_models",
        tag=TAG,
        summary="List the models, or map them by name",
        text="Without a query, this is OpenAI's list, for keys. With any of the "
        "parameters it is ImageRouter's map, as `/v1/openai/models` answers.",
        access=Access.EITHER,
        parameters=_FILTERS,
        answers={
            200: Answer(
                text="The list, or the map.", shape=ModelList | dict[str, MappedModel]
            )
        },
        refuses=_REFUSES,
        curl={
            "OpenAI's list": 'curl "$URL/v1/models" -H "Authorization: Bearer $KEY"',
            "ImageRouter's map": 'curl "$URL/v1/models?type=image&sort=date&name=test"',
        },
    ),
    Operation(
        method="GET",
        path="/v1/models/{name}",
        id="get_model",
        tag=TAG,
        summary="Show one model",
        parameters=(
            Parameter(
                name="name",
                where="path",
                schema={**STRING, "minLength": 1},
                text="Any of its names; a slash may come as `%2F`.",
                example="test/test",
            ),
        ),
        answers={200: Answer(text="The model.", shape=Model)},
        refuses=(*codes.KEY, "unknown_model"),
    ),
    _MAP,
    replace(
        _MAP,
        path="/v1/openai/images/models",
        id="map_image_models",
        summary="Map the models by name, at another address",
    ),
    replace(
        _MAP,
        path="/v2/models",
        id="map_models_v2",
        summary="Map the models by name, version 2",
        answers={200: Answer(text="Models by name.", shape=dict[str, MappedModelV2])},
    ),
)

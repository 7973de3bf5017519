"""Providers, for operators."""

from service.api.openapi import codes
from service.api.openapi.operation import Answer, Operation, Parameter
from service.api.openapi.shapes.providers import ProviderTest

TAG = "Providers"

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/providers/{provider}/test",
        id="test_provider",
        tag=TAG,
        summary="Make one smallest image with a provider",
        text="Past the queue, with the keys that the front door's own environment "
        "holds; it may cost money. A provider that fails is a result, too: see "
        "`error`. Only for keys of scope `admin`; for others there is nothing here.",
        parameters=(
            Parameter(
                name="provider",
                where="path",
                schema={"type": "string", "minLength": 1},
                text="As the catalog calls it.",
            ),
        ),
        answers={200: Answer(text="What it came to.", shape=ProviderTest)},
        refuses=(
            *(code for code in codes.KEY if code != "key_scope"),
            "not_found",
            "not_testable",
        ),
    ),
)

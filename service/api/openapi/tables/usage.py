"""What was used."""

from service.api.openapi import codes
from service.api.openapi.operation import Answer, Operation, Parameter, Schema
from service.api.openapi.shapes.usage import Usage

TAG = "Usage"

_DATE: Schema = {"type": "string", "format": "date"}

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/usage",
        id="get_usage",
        tag=TAG,
        summary="Sum up what was used",
        text="Per day and key of the account, for the last 400 days. A job counts on "
        "the day of its submission (UTC), whenever it ends, and its quota units for "
        "the month of that day. Costs say who knows them.",
        parameters=(
            Parameter(
                name="from",
                schema=_DATE,
                text="The first day; unsaid, the first of this month.",
                example="2026-11-01",
            ),
            Parameter(name="to", schema=_DATE, text="The last day; unsaid, today."),
            Parameter(
                name="group_by",
                schema={"enum": ["day", "key"]},
                text="`day` sums up the keys of each day, `key` the days of each key.",
            ),
            Parameter(
                name="account",
                text="Somebody else's, for keys that have the scope `admin`.",
            ),
        ),
        answers={
            200: Answer(text="The sums.", shape=Usage, headers=("Cache-Control",))
        },
        refuses=(*codes.KEY, *codes.QUERY, "invalid_enum", "out_of_range"),
    ),
)

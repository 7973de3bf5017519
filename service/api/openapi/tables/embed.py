"""Images for `<img>` tags, the way rout.my serves them."""

from service.api.dialects.embed.sign import SignDraft
from service.api.openapi import codes
from service.api.openapi.headers import OF_A_JOB
from service.api.openapi.operation import (
    STRING,
    Access,
    Answer,
    Body,
    Operation,
    Parameter,
)
from service.api.openapi.shapes.embed import EmbedLink
from service.api.openapi.tables.images import BYTES, IF_NONE_MATCH, RANGE, SERVED

TAG = "Embed"

_SHOWN = (*OF_A_JOB, "X-Cache", "ETag", "Accept-Ranges", *SERVED)

OPERATIONS = (
    Operation(
        method="GET",
        path="/embed/image:{model}",
        id="get_embedded_image",
        tag=TAG,
        summary="Show the image of a prompt",
        text="For `<img>` tags and Markdown. Whoever opens the link first has the "
        "image made; everybody after him gets the same bytes, at no cost. A HEAD, or "
        "a browser that looks ahead, never makes one.\n\n"
        "The key may stand in the link as `key=`, if it has the scope `embed` and "
        "every reader may use it; better is a signed link, which holds none.",
        access=Access.URL,
        parameters=(
            Parameter(
                name="model",
                where="path",
                schema={**STRING, "minLength": 1, "maxLength": 127},
                text="Any name of a model that the catalog enables for embedding.",
                example="test/test",
            ),
            Parameter(
                name="prompt",
                required=True,
                schema={**STRING, "minLength": 1},
                text="Spaces may be written as + or %20.",
                example="a blue glass cube",
            ),
            Parameter(
                name="references",
                text="Links to images to start from, with commas between them, "
                "at most sixteen.",
            ),
            Parameter(name="exp", text="Of a signed link: its end in Unix seconds."),
            Parameter(name="kid", text="Of a signed link: the key that pays."),
            Parameter(name="sig", text="Of a signed link: its signature."),
            IF_NONE_MATCH,
            RANGE,
        ),
        answers={
            200: Answer(text="The image itself.", media=BYTES, headers=_SHOWN),
            206: Answer(
                text="A range of it.", media=BYTES, headers=(*_SHOWN, "Content-Range")
            ),
            304: Answer(text="It is what you have.", headers=("ETag",)),
        },
        refuses=(
            *(code for code in codes.KEY if code != "key_scope"),
            *codes.QUERY,
            *codes.WAITED,
            *codes.IMAGES,
            "deleted",
            "empty_prompt",
            "invalid_encoding",
            "invalid_signature",
            "invalid_text",
            "key_not_for_urls",
            "key_scope",
            "missing_field",
            "model_not_allowed",
            "model_not_embeddable",
            "not_cached",
            "not_found",
            "prompt_too_long",
            "queue_full",
            "quota_exceeded",
            "range_not_satisfiable",
            "rate_limited",
            "too_many_references",
            "unknown_model",
            "unsupported_operation",
            "uri_too_long",
            "url_expired",
        ),
        curl={
            "By a key in a header": (
                'curl "$URL/embed/image:test/test?prompt=a+blue+glass+cube" \\\n'
                '  -H "Authorization: Bearer $KEY" -o cube.png'
            ),
            "In a page": (
                '<img src="$URL/embed/image:test/test?key=$EMBED_KEY'
                '&prompt=a+blue+glass+cube" alt="a blue glass cube">'
            ),
        },
    ),
    Operation(
        method="POST",
        path="/v1/embed/sign",
        id="sign_embed_link",
        tag=TAG,
        summary="Sign a link to the image of a prompt",
        text="Nothing is made and nothing is charged before somebody opens it.",
        body=Body(
            name="SignDraft",
            model=SignDraft,
            examples={
                "For a month": {"model": "test/test", "prompt": "a blue glass cube"}
            },
        ),
        answers={200: Answer(text="The link.", shape=EmbedLink)},
        refuses=(
            *codes.KEY,
            *codes.JSON_BODY,
            *codes.FIELDS,
            "empty_prompt",
            "prompt_too_long",
            "invalid_url",
            "model_not_allowed",
            "model_not_embeddable",
            "too_many_references",
            "unsupported_operation",
            "uri_too_long",
        ),
    ),
)

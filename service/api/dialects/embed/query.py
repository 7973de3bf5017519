"""The query of an embed link, read strictly, and never said again to anybody.

It holds a key and somebody's prompt: what is wrong with it is told without quoting
any of it. `request.query` would put up with bytes that are no text.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from aiohttp import web

from service.core.embeds import LONGEST_PATH, Embed, Seal
from service.core.errors import InvalidRequest, UnknownModel
from service.intake.embeds import read_references

_NAMES = ("key", "prompt", "references", "exp", "kid", "sig")
_SEAL = frozenset(Seal._fields)
_ESCAPES = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,126}", re.ASCII)


class EmbedQuery(NamedTuple):
    """What a link says.

    Attributes:
        embed: The image; its prompt is empty where there is none.
        key: The API key itself, which needs the scope `embed`.
        seal: What stands there instead of a key.
    """

    embed: Embed
    key: str | None
    seal: Seal | None


def read_query(request: web.Request) -> EmbedQuery:
    """Read model and query.

    Raises:
        UnknownModel: That is no name of a model.
        InvalidRequest: `uri_too_long`, `invalid_encoding`, `unknown_param`,
            `duplicate_param`, `invalid_url` or `too_many_references`.
    """
    model = request.match_info["model"]
    if _MODEL.fullmatch(model) is None:
        raise UnknownModel("there is no such model", param="model")
    if len(request.raw_path) > LONGEST_PATH:
        raise InvalidRequest(
            f"the URL has more than {LONGEST_PATH:,} bytes", code="uri_too_long"
        )
    said = _said(request.rel_url.raw_query_string)
    references = said.get("references")
    embed = Embed(
        model=model,
        prompt=said.get("prompt", ""),
        references=() if references is None else read_references(references.split(",")),
    )
    return EmbedQuery(embed, said.get("key"), _seal(said))


def _said(query: str) -> dict[str, str]:
    said: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        written, _, value = (_text(part) for part in pair.partition("="))
        name = written.removesuffix("[]")
        if name not in _NAMES:
            raise InvalidRequest(
                f"a link may have the parameters {', '.join(_NAMES)}, and no others",
                code="unknown_param",
            )
        if name != written or name in said:
            raise InvalidRequest(
                f"{name} is given twice, or as a list",
                code="duplicate_param",
                param=name,
            )
        said[name] = value
    return said


def _text(escaped: str) -> str:
    data = unquote_to_bytes(escaped.replace("+", " "))
    if _ESCAPES.fullmatch(escaped) is None or b"\0" in data:
        raise _not_text()
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _not_text() from None


def _not_text() -> InvalidRequest:
    return InvalidRequest(
        "the query is not percent-encoded UTF-8", code="invalid_encoding"
    )


def _seal(said: dict[str, str]) -> Seal | None:
    if not _SEAL & said.keys():
        return None
    return Seal(*(said.get(name, "") for name in Seal._fields))

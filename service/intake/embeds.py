"""Which embed links may be opened or signed: a whitelist of models, and sane words."""

from collections.abc import Sequence
from datetime import datetime

from service.accounts import ApiKey, Scope
from service.core.catalog import Catalog, Model
from service.core.embeds import LONGEST_PATH, Embed
from service.core.errors import Forbidden, InvalidRequest, UnknownModel
from service.intake.permits import allows
from service.intake.uploads import MOST_IMAGES, linked
from service.intake.words import check_prompt

_SCOPES = frozenset({Scope.EMBED, Scope.GENERATE})


def read_references(links: Sequence[str]) -> tuple[str, ...]:
    """Return the links in the form in which a link holds them; none is fetched yet.

    Raises:
        InvalidRequest: One of them is none or there twice (`invalid_url`), or there
            are too many (`too_many_references`).
    """
    if len(links) > MOST_IMAGES:
        raise InvalidRequest(
            f"there are more than {MOST_IMAGES} references",
            code="too_many_references",
            param="references",
        )
    # A comma parts them in a link; inside of a URL %2C means the same.
    references = tuple(link.strip().replace(",", "%2C") for link in links)
    if len(set(references)) < len(references):
        raise InvalidRequest(
            "a reference is given twice", code="invalid_url", param="references"
        )
    for link in references:
        linked("references", link)
    return references


def check_embed(embed: Embed, *, key: ApiKey, catalog: Catalog) -> Model:
    """Return the model of an embed that the key may show.

    Raises:
        InvalidRequest: The prompt is missing or wrong; or no model of that name is
            enabled, which is the same to a link (`model_not_embeddable`).
        Forbidden: The key may not ask for the model (`model_not_allowed`), or for
            any (`key_scope`).
    """
    if not key.scopes & _SCOPES:
        raise Forbidden("this key has neither the scope embed nor generate")
    if not embed.prompt:
        raise InvalidRequest("prompt is required", code="missing_field", param="prompt")
    check_prompt(embed.prompt)
    try:
        model = catalog.model(embed.model)
    except UnknownModel:
        model = None
    if model is None or not model.embed:
        raise InvalidRequest(
            "this model is not enabled for embedding",
            code="model_not_embeddable",
            param="model",
        )
    if not allows(key, model, catalog):
        raise Forbidden(
            "this key may not ask for this model",
            code="model_not_allowed",
            param="model",
        )
    return model


def sign_embed(
    embed: Embed, *, key: ApiKey, catalog: Catalog, secret: bytes, expires_at: datetime
) -> str:
    """Return path and query that show the embed until then, at the key's expense.

    Raises:
        InvalidRequest: See `check_embed`; or the link gets too long (`uri_too_long`).
        Forbidden: See `check_embed`.
    """
    check_embed(embed, key=key, catalog=catalog)
    path = embed.signed(key_id=key.id, expires_at=expires_at, secret=secret)
    if len(path) > LONGEST_PATH:
        raise InvalidRequest(
            f"the link would have more than {LONGEST_PATH:,} bytes",
            code="uri_too_long",
            param="prompt",
        )
    return path

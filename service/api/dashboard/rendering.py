"""From a template to an answer: one policy, nothing inline, everything escaped.

A request of htmx's for a part of a page gets that block of the page's template, so
that what is shown at first and what is put in its place later cannot differ.
"""

import functools
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api.context import FRONT
from service.api.dashboard.nav import places_of
from service.api.dashboard.static_files import asset
from service.api.dashboard.words import FILTERS
from service.image_store import ImageStore
from service.image_store.local import LocalImageStore

SINCE = web.RequestKey("since", str)
"""The last event before the page was made, so that it misses none."""

_HARMLESS = {
    "Cache-Control": "no-store",
    "Content-Type": "text/html; charset=utf-8",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with less, forms could not say who sent them
    "Vary": "HX-Request-Type",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates, which escape whatever is put into them."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(FILTERS)
    made.globals["asset"] = asset
    for name in ("parts", "job_parts", "webhook_parts"):
        made.globals[name] = made.get_template(f"{name}.html").module
    made.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return made


def page(
    request: web.Request,
    template: str,
    *,
    key: ApiKey | None,
    part: str | None = None,
    status: int = 200,
    **about: Any,
) -> web.Response:
    """Return a page, or the block `part` of it where htmx asks for a part.

    Args:
        request: As it came.
        template: Its file.
        key: Who has signed in; None: nobody.
        part: The block that htmx puts in place.
        status: Of the answer.
        about: What the template knows beside who looks, and where.
    """
    front = request.app[FRONT]
    known = {
        "key": key,
        "is_admin": key is not None and Scope.ADMIN in key.scopes,
        "places": [] if key is None else places_of(key),
        "since": request.get(SINCE, ""),
        "here": request.path,
        "base_url": front.settings.base_url,
        **about,
    }
    found = environment().get_template(template)
    if part is not None and wants_part(request):
        text = "".join(found.blocks[part](found.new_context(known)))
    else:
        text = found.render(known)
    policy = policy_of(_origin(front.backends.images))
    return web.Response(
        body=text.encode(),
        status=status,
        headers={**_HARMLESS, "Content-Security-Policy": policy},
    )


def wants_part(request: web.Request) -> bool:
    """Whether htmx asks for a part of a page."""
    return request.headers.get("HX-Request-Type") == "partial"


@functools.cache
def policy_of(store: str) -> str:
    """Return what a page may load and do; `store` is where images come from."""
    rules = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        f"img-src 'self' data: blob: {store}".rstrip(),
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return "; ".join(rules)


def _origin(images: ImageStore) -> str:
    """Return where browsers read images; empty: here."""
    if isinstance(images, LocalImageStore):
        return ""
    parts = urlsplit(images.signed_url("jobs/any").url)
    return f"{parts.scheme}://{parts.netloc}"

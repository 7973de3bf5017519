"""Which models a key may ask for, by whatever name."""

from service.accounts import ApiKey
from service.core.catalog import Catalog, Model
from service.core.errors import Forbidden, InvalidRequest, UnknownModel


def permitted(name: str, *, key: ApiKey, catalog: Catalog, operation: str) -> Model:
    """Return the model of that name, which the key may ask for this.

    Raises:
        UnknownModel: The catalog has none.
        Forbidden: The key may not ask for it (`model_not_allowed`).
        InvalidRequest: It does something else (`unsupported_operation`).
    """
    model = catalog.model(name)
    if not allows(key, model, catalog):
        raise Forbidden(
            "this key may not ask for this model",
            code="model_not_allowed",
            param="model",
        )
    if operation not in model.features:
        raise InvalidRequest(
            f"this model does not do what is asked for: {operation}",
            code="unsupported_operation",
            param="model",
        )
    return model


def allows(key: ApiKey, model: Model, catalog: Catalog) -> bool:
    """Whether the key may ask for the model; its list may hold any of its names."""
    if key.models is None or model.name in key.models:
        return True
    return any(_names(name, model, catalog) for name in key.models)


def _names(name: str, model: Model, catalog: Catalog) -> bool:
    if name.endswith("*"):
        return model.name.startswith(name.removesuffix("*"))
    try:
        return catalog.model(name).name == model.name
    except UnknownModel:
        return False

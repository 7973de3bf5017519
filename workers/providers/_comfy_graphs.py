"""Graphs for ComfyUI: the plain one, and the filling of places in any."""

import re
from collections.abc import Mapping
from typing import Any

from service.core.errors import ProviderRefused

_PLACE = re.compile(r"%([a-z][a-z0-9_]*)%")
_STEPS, _GUIDANCE, _DENOISE = 25, 6.0, 0.75


def filled(graph: Any, values: Mapping[str, Any]) -> Any:
    """Return `graph` with each `%name%` replaced by its value.

    A string that is nothing but a place becomes the value itself, a number too.

    Raises:
        ProviderRefused: The graph has a place for something this request has not,
            such as an image.
    """
    match graph:
        case dict():
            return {name: filled(value, values) for name, value in graph.items()}
        case list():
            return [filled(value, values) for value in graph]
        case str():
            whole = _PLACE.fullmatch(graph)
            if whole:
                return _value(whole[1], values)
            return _PLACE.sub(lambda place: str(_value(place[1], values)), graph)
        case _:
            return graph


def plain_graph(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return text to image, or image to image where there is one, masked or not."""
    graph = {
        "model": _node("CheckpointLoaderSimple", ckpt_name="%checkpoint%"),
        "positive": _node("CLIPTextEncode", text="%prompt%", clip=["model", 1]),
        "negative": _node(
            "CLIPTextEncode", text="%negative_prompt%", clip=["model", 1]
        ),
        "sample": _node(
            "KSampler",
            model=["model", 0],
            positive=["positive", 0],
            negative=["negative", 0],
            latent_image=["latent", 0],
            seed="%seed%",
            steps=_STEPS,
            cfg=_GUIDANCE,
            sampler_name="dpmpp_2m",
            scheduler="karras",
            denoise=_DENOISE if "image_1" in values else 1.0,
        ),
        "decode": _node("VAEDecode", samples=["sample", 0], vae=["model", 2]),
        "save": _node("SaveImage", images=["decode", 0], filename_prefix="darkroom"),
    }
    return graph | _latent(values)


def _latent(values: Mapping[str, Any]) -> dict[str, Any]:
    if "image_1" not in values:
        empty = {"width": "%width%", "height": "%height%", "batch_size": "%batch_size%"}
        return {"latent": _node("EmptyLatentImage", **empty)}
    encode = _node("VAEEncode", pixels=["image", 0], vae=["model", 2])
    nodes = {"image": _node("LoadImage", image="%image_1%"), "encode": encode}
    start = "encode"
    if "mask" in values:
        nodes["mask"] = _node("LoadImageMask", image="%mask%", channel="red")
        nodes["masked"] = _node(
            "SetLatentNoiseMask", samples=["encode", 0], mask=["mask", 0]
        )
        start = "masked"
    nodes["latent"] = _node(
        "RepeatLatentBatch", samples=[start, 0], amount="%batch_size%"
    )
    return nodes


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def _value(name: str, values: Mapping[str, Any]) -> Any:
    if name not in values:
        raise ProviderRefused(
            f"the workflow needs {name}, which this request has not",
            code="provider_invalid_request",
        )
    return values[name]

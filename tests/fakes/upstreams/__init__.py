"""Contract fakes: each behaves as one provider documents, and misbehaves on demand.

The suite in `tests/wire/test_provider_contract.py` runs over all of `FAKES`.
"""

from tests.fakes.upstreams.a1111 import A1111Fake
from tests.fakes.upstreams.azure_openai import AzureOpenAIFake
from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.bedrock import BedrockFake
from tests.fakes.upstreams.bfl import BFLFake
from tests.fakes.upstreams.comfyui import ComfyUIFake
from tests.fakes.upstreams.deepinfra import DeepInfraFake
from tests.fakes.upstreams.fal import FalFake
from tests.fakes.upstreams.gemini import GeminiFake
from tests.fakes.upstreams.horde import HordeFake
from tests.fakes.upstreams.huggingface import HuggingFaceFake
from tests.fakes.upstreams.ideogram import IdeogramFake
from tests.fakes.upstreams.openrouter import OpenRouterFake
from tests.fakes.upstreams.replicate import ReplicateFake
from tests.fakes.upstreams.runware import RunwareFake
from tests.fakes.upstreams.stability import StabilityFake
from tests.fakes.upstreams.together import TogetherFake
from tests.fakes.upstreams.vertex_imagen import VertexImagenFake
from tests.fakes.upstreams.xai import XAIFake

FAKES: tuple[type[Fake], ...] = (
    A1111Fake,
    AzureOpenAIFake,
    BedrockFake,
    BFLFake,
    ComfyUIFake,
    DeepInfraFake,
    FalFake,
    GeminiFake,
    HordeFake,
    HuggingFaceFake,
    IdeogramFake,
    OpenRouterFake,
    ReplicateFake,
    RunwareFake,
    StabilityFake,
    TogetherFake,
    VertexImagenFake,
    XAIFake,
)

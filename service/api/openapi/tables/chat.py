"""Images in chats, the way rout.my and OpenRouter speak of them."""

from service.api.dialects.chat.draft import ChatDraft
from service.api.openapi import codes
from service.api.openapi.headers import OF_A_SUBMISSION
from service.api.openapi.operation import Answer, Body, Operation
from service.api.openapi.shapes.chat import ChatChunk, ChatCompletion
from service.api.openapi.shapes.errors import Error
from service.api.openapi.tables import openai

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/chat/completions",
        id="complete_chat",
        tag=openai.TAG,
        summary="Make images in a chat",
        text="What OpenAI's SDKs call `chat.completions.create`, for images alone: "
        "`modalities` must hold `image`. The last message of the user is the request, "
        "behind whatever the system says; its images are what to start from. Where it "
        "has none, the latest images of the assistant are, if the model edits. Fields "
        "that steer words are ignored.",
        parameters=openai.CALL_PARAMETERS,
        body=Body(
            name="ChatDraft",
            model=ChatDraft,
            examples={
                "In words": {
                    "model": "test/test",
                    "messages": [{"role": "user", "content": "a lighthouse in fog"}],
                    "modalities": ["image", "text"],
                },
                "From an image": {
                    "model": "test/test",
                    "messages": [
                        {
                            "role": "user",
                            "content": [
                                {"type": "text", "text": "the same in snow"},
                                {
                                    "type": "image_url",
                                    "image_url": {
                                        "url": "https://example.com/lighthouse.png"
                                    },
                                },
                            ],
                        }
                    ],
                    "modalities": ["image", "text"],
                },
                "What was drawn before": {
                    "model": "test/test",
                    "messages": [
                        {"role": "user", "content": "a lighthouse in fog"},
                        {
                            "role": "assistant",
                            "content": "",
                            "images": [
                                {
                                    "type": "image_url",
                                    "image_url": {
                                        "url": "https://example.com/lighthouse.png"
                                    },
                                }
                            ],
                        },
                        {"role": "user", "content": "now make it red"},
                    ],
                    "modalities": ["image", "text"],
                },
                "As chunks": {
                    "model": "test/test",
                    "messages": [{"role": "user", "content": "a lighthouse at dawn"}],
                    "modalities": ["image", "text"],
                    "image_config": {"aspect_ratio": "16:9"},
                    "stream": True,
                },
            },
        ),
        answers={
            200: Answer(
                text="A message with the images; with `stream`, chunks of it.",
                shape=ChatCompletion,
                events=ChatChunk | Error,
                last_event="[DONE]",
                headers=OF_A_SUBMISSION,
            ),
            202: openai.ACCEPTED,
        },
        refuses=(
            *codes.KEY,
            *codes.JSON_BODY,
            *codes.IMAGES,
            *codes.DRAFT,
            *codes.SUBMISSION,
            *codes.WAITED,
            "deleted",
            "unsupported_modality",
        ),
    ),
)

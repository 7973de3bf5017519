"""What is said of each route, one module per chapter.

To document a route, add an `Operation` to a module; for a new chapter, add it here.
"""

from collections.abc import Mapping

from service.api.openapi.operation import Operation
from service.api.openapi.tables import (
    about,
    around,
    batches,
    chat,
    embed,
    events,
    files,
    health,
    imagerouter,
    images,
    jobs,
    keys,
    models,
    openai,
    providers,
    usage,
    webhooks,
)

OPERATIONS: tuple[Operation, ...] = (
    *openai.OPERATIONS,
    *chat.OPERATIONS,
    *imagerouter.OPERATIONS,
    *around.OPERATIONS,
    *embed.OPERATIONS,
    *jobs.OPERATIONS,
    *files.OPERATIONS,
    *batches.OPERATIONS,
    *webhooks.OPERATIONS,
    *events.OPERATIONS,
    *images.OPERATIONS,
    *models.OPERATIONS,
    *usage.OPERATIONS,
    *keys.OPERATIONS,
    *providers.OPERATIONS,
    *health.OPERATIONS,
    *about.OPERATIONS,
)

TAGS: Mapping[str, str] = {
    openai.TAG: "The contract of OpenAI, which rout.my and MultiRoute speak too. "
    "OpenAI's own clients need but another base URL:\n\n"
    "    from openai import OpenAI\n"
    '    client = OpenAI(base_url=f"{URL}/v1", api_key=KEY)\n'
    '    images = client.images.generate(model="test/test", prompt="a lighthouse")',
    imagerouter.TAG: "The contract of ImageRouter: point its clients at `$URL`.",
    embed.TAG: "Links that show one image, for pages and Markdown.",
    jobs.TAG: "The native resource, which says the most: submit, wait, list, cancel.",
    files.TAG: "The contract of OpenAI: what is uploaded, and what batches made.",
    batches.TAG: "Many images at once: OpenAI's contract, and one that takes lines as "
    "they come. Batches run when nobody waits for anything else.",
    webhooks.TAG: "Who is told of what happens, and what became of telling them.",
    events.TAG: "What happens, as it does: server-sent events.",
    images.TAG: "The bytes themselves.",
    models.TAG: "What may be asked for.",
    usage.TAG: "What was made, what it used up, and what it cost.",
    providers.TAG: "Who draws, for operators.",
    keys.TAG: "Who may call, for operators.",
    health.TAG: "For balancers and operators.",
    about.TAG: "What you are reading.",
}

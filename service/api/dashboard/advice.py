"""What to do about a job that failed, in a sentence, by the code of its error."""

from collections.abc import Mapping

ADVICE: Mapping[str, str] = {
    "content_policy": "The provider will not draw this. Say it differently, or let "
    "the next provider try (failover_on_refusal).",
    "provider_invalid_request": "The provider does not take this request. Compare "
    "size, format and quality with what the model can do.",
    "provider_auth": "The provider does not take our key for it. Check the variable "
    "that the catalog names, then retry.",
    "provider_billing": "Our account at the provider has no credit left. Top it up, "
    "then retry.",
    "provider_refused": "This provider never will. Ask for another model or size.",
    "no_route": "No worker can call a provider of this model. Set the provider's key, "
    "or start a worker that has it.",
    "provider_throttled": "The provider asked for patience for too long. Retry later, "
    "or add a route.",
    "provider_unavailable": "The provider did not answer. Retry; nothing was charged.",
    "provider_ambiguous": "Nobody knows whether this was bought. Look at the "
    "provider's own bill before you retry.",
    "input_missing": "An image it starts from is gone. Send the request again, with "
    "the image.",
    "poison": "Workers died over it, again and again. Send it to whoever runs this "
    "place, with its id.",
}
_ELSE = "Retry it. If it fails again, its attempts tell where."


def advice(code: str) -> str:
    """Return what to do about an error of that code."""
    return ADVICE.get(code, _ELSE)

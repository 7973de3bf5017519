"""What our answers look like: fields may be null, or missing, or neither.

The text below a field is what the document says of it.
"""

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict


@with_config(ConfigDict(use_attribute_docstrings=True))
class Shape(TypedDict):
    """An object in an answer."""

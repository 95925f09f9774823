"""What conversion raises: one sentence, whatever is the matter with a model."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager


class ConversionError(ValueError):
    """A model that cannot be converted, or cannot be shown to be the same."""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Makes a ConversionError of what TensorFlow, Keras and users' code may raise."""
    try:
        yield
    except ConversionError:
        raise
    except Exception as error:
        reason = textwrap.shorten(str(error), 600) or type(error).__name__
        raise ConversionError(f"{what}: {reason}") from error

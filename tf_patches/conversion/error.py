"""What conversion raises where it cannot do what is asked."""


class ConversionError(ValueError):
    """A model that cannot be converted, or not be shown to be the same."""

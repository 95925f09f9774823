"""How models that hold our ops become models of built-in ops, and back."""

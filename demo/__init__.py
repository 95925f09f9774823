"""`make demo`: the recipes on real pictures, beside TensorFlow's own op."""

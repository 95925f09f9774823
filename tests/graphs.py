"""Functions in graphs: called there, and what their graphs hold."""

import tensorflow as tf

LOOPS = {"While", "StatelessWhile", "ParallelBatch", "MapDefun"}


def in_graph(function, *tensors, signature=None, **options):
    """Calls `function` in a graph that knows the shapes in `signature`."""
    tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
    shapes = signature or [tensor.shape for tensor in tensors]
    specs = [
        tf.TensorSpec(shape, tensor.dtype)
        for shape, tensor in zip(shapes, tensors, strict=True)
    ]
    traced = tf.function(function, input_signature=specs, autograph=False, **options)
    return traced(*tensors)


def noise(shape):
    """Never twice the same, where tf.random repeats itself once a seed was set."""
    return tf.raw_ops.RandomStandardNormal(shape=shape, dtype=tf.float32)


def node_types(traced):
    definition = traced.graph.as_graph_def()
    functions = [node for f in definition.library.function for node in f.node_def]
    return {node.op for node in [*definition.node, *functions]}

"""Functions in graphs: called there, and what their graphs hold."""

import contextlib

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


@contextlib.contextmanager
def no_warning(caplog):
    tf.get_logger().addHandler(caplog.handler)
    try:
        yield
    finally:
        tf.get_logger().removeHandler(caplog.handler)
    assert not caplog.messages


def run_without_loops(function, caplog, *arguments):
    """The result of `function`, whose graph is to hold no loop, made unwarned."""
    with no_warning(caplog):
        traced = tf.function(function).get_concrete_function(*arguments)
    types = node_types(traced)
    assert not types & LOOPS
    assert any(name.startswith("TFPatches>") for name in types)
    return traced(*arguments)


def mapped(function):
    return lambda *elements: tf.vectorized_map(lambda turn: function(*turn), elements)

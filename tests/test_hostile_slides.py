"""Graphs with the ops of slides that no code of ours would write: errors, no crash."""

import numpy as np
import pytest
import tensorflow as tf
from slides_made import stained, write_slide
from test_hostile_graphs import add_placeholder, empty_graph, outcomes

IMAGE = stained(40, 50)
NONE = np.zeros([0], np.uint8)
REGION = np.array([0, 1, 2, 3, 4])
TEXT = np.array(b"text", object)
# The ops, the first of their outputs, and its shape where all inputs are sound.
OPS = {
    "DescribeSlide": ({}, "sizes", (1, 2)),
    "ReadSlide": ({"region": REGION, "background": NONE}, "pixels", (3, 4, 3)),
    "ReadSlideImage": (
        {"image": np.array(b"none", object), "background": NONE},
        "",
        (),
    ),
}
FAR = [2**31, 2**62, 2**63 - 1, -(2**63)]
WRONG = {
    "path": [
        *(np.array(text, object) for text in (b"", b"none", b"\xff\xfe", b"/", b".")),
        *(np.array(text, object) for text in (b"a\0b", b"x" * 100_000, b"/dev/zero")),
        np.array([b"a", b"b"], object),
        np.zeros([0], object),
        np.array(3),
    ],
    "region": [
        *(np.zeros(shape, np.int64) for shape in ([], [0], [4], [6], [1, 5], [5, 1])),
        *(np.array([far, 0, 0, 1, 1]) for far in [1, -1, *FAR]),
        *(np.array([0, 0, 0, far, 1]) for far in [-1, *FAR[1:]]),
        *(np.array([0, 0, 0, far, far]) for far in [-1, *FAR]),
        REGION.astype(np.int32),
        REGION.astype(np.float32),
    ],
    "background": [
        *(np.zeros(shape, np.uint8) for shape in ([], [1], [2], [4], [0, 3], [1, 3])),
        np.zeros([3], np.int32),
    ],
    "image": [
        *(np.array(text, object) for text in (b"", b"\xff", b"a\0b", b"x" * 100_000)),
        np.array([b"macro"], object),
        np.zeros([0], object),
        np.array(3),
    ],
}
LIES = {
    "path": ([1], [2**62, 2**62]),
    "region": ([], [4], [2**62], [5, 1]),
    "background": ([], [4], [3, 1]),
    "image": ([1], [0, 2**62]),
}


def graph_of(op, fed, shapes=()):
    graph = empty_graph()
    for name, value in fed.items():
        dtype = tf.string if value.dtype == object else tf.as_dtype(value.dtype)
        add_placeholder(graph, name, dtype, dict(shapes).get(name))
    graph.node.add(name="out", op=f"TFPatches>{op}", input=list(fed))
    return graph


def in_function(graph, result, dtype):
    """As of test_hostile_graphs, with a result of another dtype than the arguments."""
    *arguments, node = graph.node
    outer = empty_graph()
    body = outer.library.function.add()
    body.signature.name = "body"
    body.signature.is_stateful = True
    body.node_def.add().CopyFrom(node)
    body.ret["result"] = f"out:{result}:0"
    body.signature.output_arg.add(name="result", type=dtype.as_datatype_enum)
    for argument in arguments:
        kind = argument.attr["dtype"].type
        body.signature.input_arg.add(name=argument.name, type=kind)
        outer.node.add().CopyFrom(argument)
    names = [argument.name for argument in arguments]
    call = outer.node.add(name="out", op="StatefulPartitionedCall", input=names)
    call.attr["Tin"].list.type.extend(a.attr["dtype"].type for a in arguments)
    call.attr["Tout"].list.type.append(dtype.as_datatype_enum)
    call.attr["f"].func.name = "body"
    return outer


@pytest.fixture
def slide(tmp_path):
    path = write_slide(tmp_path / "slide.tif", [IMAGE], tile=16)
    return np.array(path.encode(), object)


def rows(slide):
    """Names, graphs, and what to feed them; the sound ones first."""
    for op, (inputs, result, _) in OPS.items():
        fed = {"path": slide, **inputs}
        dtype = tf.int64 if result == "sizes" else tf.uint8
        yield f"sound {op}", graph_of(op, fed), fed
        function = in_function(graph_of(op, fed), result or "pixels", dtype)
        yield f"sound {op} in a function", function, fed
        for name in fed:
            for number, value in enumerate(WRONG[name]):
                wrong = {**fed, name: value}
                graph = graph_of(op, wrong)
                yield f"{op} {name} {number}", graph, wrong
                function = in_function(graph, result or "pixels", dtype)
                yield f"{op} in a function {name} {number}", function, wrong
            for shape in LIES[name]:
                lying = graph_of(op, fed, {name: shape})
                yield f"{op} {name} of shape {shape}", lying, fed


def test_graphs(slide, tmp_path):
    made = list(rows(slide))
    ended = outcomes(
        [(name, "graph", graph.SerializeToString(), fed) for name, graph, fed in made],
        tmp_path,
    )
    assert len(ended) == len(made) > 100
    for op, (_, result, shape) in OPS.items():
        wanted = f"accepted: {shape}" if result else "refused: InvalidArgumentError"
        assert ended.pop(f"sound {op}") == wanted
        assert ended.pop(f"sound {op} in a function") == wanted
    accepted = {name for name in ended if not ended[name].startswith("refused")}
    assert not accepted


def test_compiled_graphs(slide, tmp_path):
    """XLA has no kernels of these ops, and says so."""
    fed = {"path": slide, **OPS["ReadSlide"][0]}
    graph = graph_of("ReadSlide", fed)
    row = ("ReadSlide", "compiled", graph.SerializeToString(), fed)
    assert outcomes([row], tmp_path)["ReadSlide"].startswith("refused")

"""Graphs and saved models that no code of ours would write: errors, no crash.

They are data from elsewhere. All are run in one child process, which must live to
the end; its output ends with the graph that killed it.
"""

import pickle
import shutil

import numpy as np
import pytest
import tensorflow as tf
from child import run_child
from tensorflow.core.protobuf import saved_model_pb2

import tf_patches

ONES = [1, 1, 1, 1]
GRID = {"ksizes": [1, 2, 2, 1], "strides": ONES, "rates": ONES, "padding": b"VALID"}
IMAGES = np.ones([1, 4, 4, 1], np.float32)
PATCHES = np.ones([1, 3, 3, 4], np.float32)
INT32_MAX = 2**31 - 1

LISTS = [
    [],
    [1],
    [1, 2, 2],
    [1, 0, 2, 1],
    [1, 2, -1, 1],
    [1, 2**31, 2, 1],
    [1, 2**63 - 1, 2**63 - 1, 1],
    [1, -(2**63), 2, 1],
    [2, 2, 2, 1],
    [1, 2, 2, 0],
    [1.0, 2.0, 2.0, 1.0],
    [b"1", b"2", b"2", b"1"],
    2,
    b"1221",
    True,
    None,
]
# Attributes, by the op's names, with values that it does not expect. An attribute
# of None is left out.
ATTRIBUTES = [
    *({name: value} for name in ("ksizes", "strides", "rates") for value in LISTS),
    {"ksizes": [1, 65536, 65536, 1]},
    {"ksizes": [1, INT32_MAX, INT32_MAX, 1], "padding": b"SAME"},
    {"rates": [1, INT32_MAX, INT32_MAX, 1], "padding": b"SAME"},
    *(
        {"padding": value}
        for value in (b"FOO", b"", b"same", b"SAME\0", b"\xff\xfe", [b"SAME"], 3, None)
    ),
    *(
        {"T": value}
        for value in (tf.string, tf.qint8, tf.resource, tf.variant, tf.double, 3, None)
    ),
]
# Attributes that TensorFlow's own op has not.
BORDERS = [
    *({"mode": value} for value in (b"FOO", b"", b"reflect", b"\xff", [b"WRAP"], 3)),
    *(
        {"padding": b"EXPLICIT", "explicit_paddings": value}
        for value in (
            [],
            [0] * 7,
            [0] * 9,
            [0, 0, 0, 0, 0, -1, 0, 0],
            [1, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 2**31, 0, 0, 0, 0, 0],
            [0, 0, 2**63 - 1, 2**63 - 1, 0, 0, 0, 0],
            [0, 0, *[INT32_MAX] * 4, 0, 0],
            [b"1"] * 8,
            2,
        )
    ),
    {"explicit_paddings": [0] * 8},  # with padding VALID
    {"padding": b"SAME_UNCLAMPED", "ksizes": [1, 0, 2, 1]},
]
CONSTANTS = [
    {"constant_values": value} for value in (b"1", b"12345", b"\0" * 8, [b"1234"], 3)
]
# Those of signals and volumes, all or some.
OTHER_AXES = [
    {"ksizes": [1, 2, 2, 2, 1]},
    {"ksizes": [1, 2, 1]},
    *(
        dict.fromkeys(("ksizes", "strides", "rates"), [1] * length)
        for length in (0, 1, 2, 3, 6)
    ),
]
SHAPES = [
    [],
    [4, 4, 1],
    [1] * 254,
    [-5, 4, 4, 1],
    [2**40] * 4,
    [2**63 - 1] * 4,
    [0, 2**62, 2**62, 2**62],
    [2**62, 2**62, 0, 1],
    [1, 4, 4, 2**62],
    [1, 4, 4, 2**31],
    [1, 5, 5, 1],
]
IMAGE_SHAPES = [
    [],
    [1, 4, 4],
    [[1, 4, 4, 1]],
    [-1, -1, -1, -1],
    [1, 4, 4, -2],
    [1, 4, 4, 2**63 - 1],
    [2**62] * 4,
    [0, 2**62, 2**62, 1],
    [2, 4, 4, 1],
]


def fill(node, attributes):
    for name, value in attributes.items():
        if value is None:
            continue
        attribute = node.attr[name]
        if isinstance(value, list):
            attribute.list.SetInParent()
            kind = {int: "i", float: "f", bytes: "s"}[type((value or [0])[0])]
            getattr(attribute.list, kind).extend(value)
        elif isinstance(value, tf.DType):
            attribute.type = value.as_datatype_enum
        else:
            kind = {int: "i", bytes: "s", bool: "b"}[type(value)]
            setattr(attribute, kind, value)


def add_placeholder(graph, name, dtype, shape):
    node = graph.node.add(name=name, op="Placeholder")
    fill(node, {"dtype": dtype})
    proto = node.attr["shape"].shape
    proto.unknown_rank = shape is None
    for size in shape or []:
        proto.dim.add(size=size)


def empty_graph():
    graph = tf.compat.v1.GraphDef()
    graph.versions.producer = tf.version.GRAPH_DEF_VERSION
    return graph


def extract_graph(attributes=(), shape=None, dtype=tf.float32, inputs=("images",)):
    graph = empty_graph()
    add_placeholder(graph, "images", dtype, shape)
    node = graph.node.add(name="out", op="TFPatches>ExtractPatches", input=inputs)
    fill(node, {**GRID, "T": dtype, **dict(attributes)})
    return graph


def fold_graph(attributes=(), shape=None, shape_shape=None):
    graph = empty_graph()
    add_placeholder(graph, "patches", tf.float32, shape)
    add_placeholder(graph, "image_shape", tf.int64, shape_shape)
    inputs = ["patches", "image_shape"]
    node = graph.node.add(name="out", op="TFPatches>FoldPatches", input=inputs)
    fill(node, {**GRID, "T": tf.float32, "Tshape": tf.int64, **dict(attributes)})
    return graph


def constant_fold_graph(image_shape):
    graph = fold_graph()
    node = graph.node[1]
    node.op = "Const"
    node.ClearField("attr")
    fill(node, {"dtype": tf.int64})
    proto = tf.make_tensor_proto(image_shape, tf.int64)
    node.attr["value"].tensor.CopyFrom(proto)
    return graph


def in_function(graph, result):
    """The same with the op in a function, where shapes are not checked on import."""
    *arguments, node = graph.node
    outer = empty_graph()
    body = outer.library.function.add()
    body.signature.name = "body"
    body.node_def.add().CopyFrom(node)
    body.ret["result"] = f"out:{result}:0"
    types = [argument.attr["dtype"].type for argument in arguments]
    body.signature.output_arg.add(name="result", type=types[0])
    for argument, dtype in zip(arguments, types, strict=True):
        body.signature.input_arg.add(name=argument.name, type=dtype)
        outer.node.add().CopyFrom(argument)
    names = [argument.name for argument in arguments]
    call = outer.node.add(name="out", op="PartitionedCall", input=names)
    call.attr["Tin"].list.type.extend(types)
    call.attr["Tout"].list.type.append(types[0])
    call.attr["f"].func.name = "body"
    return outer


def named(graph, name):
    """The same with another name of its function, as a process has each name once."""
    graph.library.function[0].signature.name = name
    graph.node[-1].attr["f"].func.name = name
    return graph


def graphs():
    """Names, graphs, and what to feed them."""
    fed = {"images": IMAGES}
    for attributes in [*ATTRIBUTES, *BORDERS, *CONSTANTS, *OTHER_AXES]:
        graph = extract_graph(attributes)
        yield f"extract {attributes}", graph, fed
        yield f"extract in a function {attributes}", in_function(graph, "patches"), fed
    for shape in SHAPES:
        yield f"extract shape {shape}", extract_graph(shape=shape), fed
    strings = np.full([1, 4, 4, 1], b"text", object)
    yield "extract strings", extract_graph(dtype=tf.string), {"images": strings}
    for inputs in [], ["images"] * 2, ["^images"], ["images:1"], ["out"], ["nothing"]:
        yield f"extract inputs {inputs}", extract_graph(inputs=inputs), fed
    for wrong in IMAGES[0], IMAGES[None], np.float32(1), IMAGES[:, :0]:
        yield f"extract fed {np.shape(wrong)}", extract_graph(), {"images": wrong}

    fed = {"patches": PATCHES, "image_shape": np.array([1, 4, 4, 1])}
    shapes = [{"Tshape": kind} for kind in (tf.string, tf.int32, 1)]
    for attributes in [*ATTRIBUTES, *BORDERS, *OTHER_AXES, *shapes]:
        graph = fold_graph(attributes)
        yield f"fold {attributes}", graph, fed
        yield f"fold in a function {attributes}", in_function(graph, "images"), fed
    for shape in SHAPES:
        yield f"fold shape {shape}", fold_graph(shape=shape), fed
    for shape in [3], [4, 4], [0], [2**62], [2**40, 2**40]:
        yield f"fold shape of shape {shape}", fold_graph(shape_shape=shape), fed
    for shape in IMAGE_SHAPES:
        shape = np.array(shape, np.int64)
        name = f"fold to {shape.tolist()}"
        yield name, fold_graph(), {"patches": PATCHES, "image_shape": shape}
        yield f"constant {name}", constant_fold_graph(shape), {"patches": PATCHES}


NO_FLIPS = np.zeros([0], bool)
NO_WEIGHTS = np.zeros([0], np.float32)
PLACED = np.ones([1, 3, 2, 2, 1], np.float32)
POSITIONS = np.array([[0, 0], [-1, 2], [9, 9]])
IMAGE_SHAPE = np.array([1, 4, 4, 1])
PLACES = {"sizes": [2, 2], "rates": [1, 1], "T": tf.float32, "Tpositions": tf.int64}
# The ops whose patches are placed, or weighted: what they take, and what they give.
OPS = {
    "ExtractPatchesAt": (
        {"images": IMAGES, "positions": POSITIONS, "flips": NO_FLIPS},
        PLACES,
        "patches",
    ),
    "FoldPatchesAt": (
        {
            "patches": PLACED,
            "positions": POSITIONS,
            "flips": NO_FLIPS,
            "image_shape": IMAGE_SHAPE,
            "weights": NO_WEIGHTS,
            "profiles": NO_WEIGHTS,
        },
        {**PLACES, "Tshape": tf.int64},
        "images",
    ),
    "FoldWeightedPatches": (
        {"patches": PATCHES, "image_shape": IMAGE_SHAPE, "weights": NO_WEIGHTS},
        {**GRID, "T": tf.float32, "Tshape": tf.int64},
        "images",
    ),
}

PLACED_LISTS = [
    [],
    [1],
    [1, 2, 1],
    [1, 1, 2, 1],
    [0, 2],
    [2, -1],
    [2, 2**31],
    [2**63 - 1, 2**63 - 1],
    [-(2**63), 2],
    [INT32_MAX, INT32_MAX],
    [2.0, 2.0],
    [b"2", b"2"],
    2,
    b"22",
    True,
    None,
]
MODES = [attributes for attributes in BORDERS if "mode" in attributes]
KINDS = [attributes for attributes in ATTRIBUTES if attributes.get("T")]
INTEGERS = (tf.string, tf.int32, tf.int16, tf.float32, tf.resource, 3)
REDUCTIONS = [
    {"reduction": value} for value in (b"FOO", b"", b"sum", b"SUM\0", [b"SUM"], 3)
]
OF_PLACES = [
    *({name: value} for name in ("sizes", "rates") for value in PLACED_LISTS),
    *({"Tpositions": dtype} for dtype in INTEGERS),
    *MODES,
    *KINDS,
]
OF_SHAPES = [{"Tshape": dtype} for dtype in INTEGERS]
WRONG_ATTRIBUTES = {
    "ExtractPatchesAt": [*OF_PLACES, *CONSTANTS],
    "FoldPatchesAt": [*OF_PLACES, *OF_SHAPES, *REDUCTIONS],
    "FoldWeightedPatches": [
        *ATTRIBUTES,
        *BORDERS,
        *OF_SHAPES,
        *REDUCTIONS,
        {"reduction": b"MAX"},  # known to FoldPatchesAt
    ],
}


def zeros(shapes, dtype):
    return [np.zeros(shape, dtype) for shape in shapes]


WRONG_WEIGHTS = [
    *zeros([[], [1], [4], [2, 3], [2, 0], [0, 0], [1, 2, 2], [2, 2, 1]], np.float32),
    np.ones([2, 2], np.float64),
    np.ones([2, 2], np.int32),
]
WRONG_INPUTS = {
    "images": [
        *zeros([[], [4, 4, 1], [1, 1, 4, 4, 1], [0]], np.float32),
        IMAGES.astype(np.float64),
    ],
    "patches": [
        *zeros([[], [4], [1, 3, 2, 2], [1, 3, 2, 3, 1]], np.float32),
        *zeros([[2, 3, 2, 2, 1], [1, 4, 2, 2, 1], [1, 0, 2, 2, 1]], np.float32),
        *zeros([[1, 3, 2, 2, 2], [1, 3, 3, 5], [2, 3, 3, 4]], np.float32),
        PLACED.astype(np.int32),
    ],
    "positions": [
        *zeros([[], [0], [6], [3, 1], [3, 3], [2, 3, 2], [0, 3, 2]], np.int64),
        *zeros([[1, 1, 3, 2], [1, 3, 1], [3, 2, 1]], np.int64),
        *(
            np.array([[0, 0], [0, at], [0, 0]])
            for at in (2**62, -(2**62), 2**63 - 1, -(2**63))
        ),
        POSITIONS.astype(np.int32),
        POSITIONS.astype(np.float32),
        POSITIONS.astype(bool),
    ],
    "flips": [
        *zeros([[], [1], [6], [2, 2], [3, 1], [0, 2], [3, 0], [2, 3, 2]], bool),
        np.zeros([3, 2], np.int64),
    ],
    "image_shape": [
        *(np.array(shape, np.int64) for shape in IMAGE_SHAPES),
        IMAGE_SHAPE.astype(np.int32),
        IMAGE_SHAPE.astype(np.float32),
    ],
    "weights": WRONG_WEIGHTS,
    "profiles": [
        *zeros([[], [1], [4], [3, 5], [2, 4], [0, 4], [1, 0], [1, 3, 4]], np.float32),
        np.ones([1, 4], np.float64),
    ],
}
# What only goes wrong together: the op, attributes and inputs.
WRONG_TOGETHER = [
    ("FoldPatchesAt", {"reduction": reduction}, {name: weights})
    for reduction in (b"MAX", b"MIN")
    for name, weights in [
        ("weights", np.ones([2, 2], np.float32)),
        ("profiles", np.ones([3, 4], np.float32)),
    ]
] + [
    (
        "FoldPatchesAt",
        {},
        {
            "weights": np.ones([2, 2], np.float32),
            "profiles": np.ones([1, 4], np.float32),
        },
    ),
    (
        "FoldPatchesAt",
        {"reduction": b"MEAN", "T": tf.int32},
        {
            "patches": PLACED.astype(np.int32),
            "weights": np.zeros([0], np.int32),
            "profiles": np.zeros([0], np.int32),
        },
    ),
    (
        "FoldPatchesAt",
        {"reduction": b"MIN", "T": tf.complex64},
        {
            "patches": PLACED.astype(np.complex64),
            "weights": np.zeros([0], np.complex64),
            "profiles": np.zeros([0], np.complex64),
        },
    ),
    (
        "FoldWeightedPatches",
        {"reduction": b"MEAN", "T": tf.int32},
        {"patches": PATCHES.astype(np.int32), "weights": np.zeros([0], np.int32)},
    ),
    ("ExtractPatchesAt", {"mode": b"WRAP"}, {"images": IMAGES[:, :0]}),
    # Types that the op has not, fed as they say.
    *(
        (
            "ExtractPatchesAt",
            {"Tpositions": tf.as_dtype(dtype)},
            {"positions": POSITIONS.astype(dtype)},
        )
        for dtype in (np.float32, np.int16, bool)
    ),
    (
        "FoldPatchesAt",
        {"Tshape": tf.float32},
        {"image_shape": IMAGE_SHAPE.astype(np.float32)},
    ),
    *(
        (
            op,
            {"T": tf.bool},
            {
                name: value.astype(bool)
                for name, value in OPS[op][0].items()
                if value.dtype == np.float32
            },
        )
        for op in ("FoldPatchesAt", "FoldWeightedPatches")
    ),
]


def placed_graph(op, attributes=(), inputs=(), shapes=()):
    """A graph of the op, and what to feed it."""
    sound_inputs, sound_attributes, _ = OPS[op]
    fed = {**sound_inputs, **dict(inputs)}
    graph = empty_graph()
    for name, value in fed.items():
        dtype = tf.as_dtype(value.dtype)
        add_placeholder(graph, name, dtype, dict(shapes).get(name))
    node = graph.node.add(name="out", op=f"TFPatches>{op}", input=list(fed))
    fill(node, {**sound_attributes, **dict(attributes)})
    return graph, fed


def placed_requests():
    """Names, and the arguments of `placed_graph` that go wrong anywhere."""
    for op, (sound_inputs, _, _) in OPS.items():
        for attributes in WRONG_ATTRIBUTES[op]:
            yield f"{op} {attributes}", (op, attributes)
        for name in sound_inputs:
            for value in WRONG_INPUTS[name]:
                shown = f"{value.dtype} {value.shape} {value.ravel()[:8].tolist()}"
                yield f"{op} {name} {shown}", (op, {}, {name: value})
    for op, attributes, inputs in WRONG_TOGETHER:
        yield f"{op} {attributes} {list(inputs)}", (op, attributes, inputs)


def placed_graphs():
    """As `graphs`."""
    for name, arguments in placed_requests():
        graph, fed = placed_graph(*arguments)
        yield name, graph, fed
        result = OPS[arguments[0]][2]
        yield f"in a function {name}", in_function(graph, result), fed
    lies = {
        "positions": ([3], [3, 3], [2, 2], [2**62, 2], [7, 3, 2], [1] * 254),
        "flips": ([], [3], [3, 2, 1], [2**62, 2]),
        "weights": ([], [3], [2**40, 2**40]),
        "profiles": ([], [3], [3, 2**62]),
        "image_shape": ([], [3], [2**62], [4, 1]),
        "images": SHAPES,
        "patches": SHAPES,
    }
    for op, (sound_inputs, _, _) in OPS.items():
        for name in sound_inputs:
            for shape in lies[name]:
                graph, fed = placed_graph(op, shapes={name: shape})
                yield f"{op} {name} of shape {shape}", graph, fed


RUN = """
    import pickle
    import sys
    import tensorflow as tf
    import tf_patches
    from tf_patches.slides import library

    def run(graph, fed):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            definition = tf.compat.v1.GraphDef.FromString(graph)
            tf.graph_util.import_graph_def(definition, name="")
            return session.run("out:0", {f"{name}:0": fed[name] for name in fed})

    def compiled(graph, fed):
        definition = tf.compat.v1.GraphDef.FromString(graph)
        imported = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(definition, name=""), []
        )
        call = imported.prune([f"{name}:0" for name in fed], "out:0")
        return tf.function(call, jit_compile=True, autograph=False)(
            *map(tf.constant, fed.values())
        )

    def load(path, images):
        return tf.saved_model.load(path).extract(images)

    kind = {"graph": run, "compiled": compiled, "saved model": load}
    for name, how, *arguments in pickle.load(open(sys.argv[1], "rb")):
        print(name, end=" -> ", flush=True)
        try:
            shape = kind[how](*arguments).shape
        except (ValueError, TypeError, tf.errors.OpError) as error:
            print("refused:", type(error).__name__, flush=True)
        else:
            print("accepted:", tuple(shape), flush=True)
    """


def outcomes(rows, tmp_path, **environment):
    """What becomes of each row in a child process, which must survive them all."""
    path = tmp_path / "rows.pickle"
    path.write_bytes(pickle.dumps(rows))
    ended = run_child(RUN, path, **environment)
    assert ended.returncode == 0, ended.stdout[-1000:] + ended.stderr[-3000:]
    lines = (line.rpartition(" -> ") for line in ended.stdout.splitlines())
    return {name: outcome for name, _, outcome in lines}


def test_graphs(tmp_path):
    sound = {"ExtractPatches": (extract_graph(), {"images": IMAGES}, "patches")}
    for op, (_, _, result) in OPS.items():
        sound[op] = (*placed_graph(op), result)
    for at in 2**62 - 1, 1 - 2**62:
        far = {"positions": np.full([3, 2], at)}
        for op in "ExtractPatchesAt", "FoldPatchesAt":
            sound[f"{op} far {at}"] = (*placed_graph(op, inputs=far), OPS[op][2])
    rows = [*graphs(), *placed_graphs()]
    for name, (graph, fed, result) in sound.items():
        rows.append((name, graph, fed))
        rows.append((f"in a function {name}", in_function(graph, result), fed))

    ended = outcomes(
        [(name, "graph", graph.SerializeToString(), fed) for name, graph, fed in rows],
        tmp_path,
    )
    assert len(ended) == len(rows)
    shapes = {"ExtractPatches": (1, 3, 3, 4), "ExtractPatchesAt": (1, 3, 2, 2, 1)}
    for name in sound:
        wanted = f"accepted: {shapes.get(name.split()[0], (1, 4, 4, 1))}"
        assert ended.pop(name) == ended.pop(f"in a function {name}") == wanted
    accepted = {name for name in ended if not ended[name].startswith("refused")}
    assert not accepted


def test_compiled_graphs(tmp_path):
    """By XLA, of functions, whose shapes nobody looked at before."""
    sound = {"ExtractPatches": (extract_graph(), {"images": IMAGES}, "patches")}
    for op, (_, _, result) in OPS.items():
        sound[op] = (*placed_graph(op), result)
    rows = [row for row in [*graphs(), *placed_graphs()] if "in a function" in row[0]]
    rows += [
        (f"sound {name}", in_function(graph, result), fed)
        for name, (graph, fed, result) in sound.items()
    ]
    ended = outcomes(
        [
            (name, "compiled", named(graph, f"f{i}").SerializeToString(), fed)
            for i, (name, graph, fed) in enumerate(rows)
        ],
        tmp_path,
    )
    assert len(ended) == len(rows)
    shapes = {"ExtractPatches": (1, 3, 3, 4), "ExtractPatchesAt": (1, 3, 2, 2, 1)}
    for name in sound:
        wanted = f"accepted: {shapes.get(name, (1, 4, 4, 1))}"
        assert ended.pop(f"sound {name}") == wanted
    assert {name for name in ended if not ended[name].startswith("refused")} == set()


OF_OURS_ALONE = ("mode", "explicit_paddings", "constant_values")


def as_builtin(graph):
    """The same with TensorFlow's own op."""
    functions = graph.library.function
    for node in [*graph.node, *(node for f in functions for node in f.node_def)]:
        if node.op == "TFPatches>ExtractPatches":
            node.op = "ExtractImagePatches"
    return graph


def test_graphs_of_the_accelerated_builtin(tmp_path):
    rows = [
        (name, "graph", as_builtin(graph).SerializeToString(), fed)
        for name, graph, fed in [
            *graphs(),
            ("sound", extract_graph(), {"images": IMAGES}),
        ]
        if not name.startswith(("fold", "constant fold"))
        and not any(ours in name for ours in OF_OURS_ALONE)
    ]
    ended = outcomes(rows, tmp_path, TF_PATCHES_ACCELERATE="1")
    assert len(ended) == len(rows)
    assert ended.pop("sound") == "accepted: (1, 3, 3, 4)"
    assert {name for name in ended if not ended[name].startswith("refused")} == set()


def weigh_and_fold(images):
    patches = tf_patches.extract_patches_at(images, [[0, 0], [-1, 2]], [2, 2])
    folded = tf_patches.fold_patches_at(
        patches, [[0, 0], [-1, 2]], [1, 4, 4, 1], reduction="mean"
    )
    patches = tf_patches.extract_patches(folded, [2, 2])
    window = [[1.0, 2.0], [3.0, 4.0]]
    weighted = tf_patches.fold_patches(patches, [1, 4, 4, 1], [2, 2], weights=window)
    return weighted + tf_patches.fold_patches(patches, [1, 4, 4, 1], [2, 2])


MODELS = {
    "patches": (
        lambda images: tf_patches.extract_patches(
            images, GRID["ksizes"], ONES, ONES, "VALID"
        ),
        {"ExtractPatches": [*ATTRIBUTES, *BORDERS, *CONSTANTS]},
        "accepted: (1, 3, 3, 4)",
    ),
    "folds": (
        weigh_and_fold,
        {**WRONG_ATTRIBUTES, "FoldPatches": [*ATTRIBUTES, *BORDERS]},
        "accepted: (1, 4, 4, 1)",
    ),
}


def alter(path, op, attributes):
    """Gives an op in a SavedModel other attributes."""
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    functions = proto.meta_graphs[0].graph_def.library.function
    nodes = [node for function in functions for node in function.node_def]
    (node,) = (node for node in nodes if node.op == f"TFPatches>{op}")
    for name in attributes:
        if name in node.attr:  # no default is saved
            del node.attr[name]
    fill(node, attributes)
    path.write_bytes(proto.SerializeToString())


@pytest.mark.parametrize("name", MODELS)
def test_saved_models(name, tmp_path):
    function, wrong, sound = MODELS[name]
    module = tf.Module()
    spec = tf.TensorSpec(None if name == "patches" else [1, 4, 4, 1])
    module.extract = tf.function(function, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, tmp_path / "sound")
    rows = [("sound", "saved model", str(tmp_path / "sound"), IMAGES)]
    for op, edits in wrong.items():
        for attributes in edits:
            folder = tmp_path / str(len(rows))
            shutil.copytree(tmp_path / "sound", folder)
            alter(folder / "saved_model.pb", op, attributes)
            rows.append((f"{op} {attributes}", "saved model", str(folder), IMAGES))

    ended = outcomes(rows, tmp_path)
    assert len(ended) == len(rows)
    assert ended.pop("sound") == sound
    accepted = {name for name in ended if not ended[name].startswith("refused")}
    assert not accepted

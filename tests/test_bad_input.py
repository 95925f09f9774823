"""Calls that cannot be met fail as the built-in's do, and say what is wrong.

The expected class is the one that the built-in gives for the same call in the
same mode; only where it crashes, overflows or answers with rubbish is it ours.
"""

import re

import numpy as np
import pytest
import tensorflow as tf
from bad_calls import (
    BEYOND,
    CALL,
    FOLD,
    FOLD_REFUSED,
    IMAGES,
    IMAGES_REFUSED,
    INVALID,
    MISMATCHED,
    MODES,
    REFUSED,
    assert_says,
    eager,
    of_shape,
    refusal,
    session,
    traced,
    traced_with_unknown_shape,
)
from child import child_output
from compare import assert_same_bits

import tf_patches

modes = pytest.mark.parametrize("mode", MODES)
in_graphs = pytest.mark.parametrize("mode", MODES[1:])


@modes
@pytest.mark.parametrize("name, value, shown", REFUSED)
def test_attribute(name, value, shown, mode):
    call = CALL | {name: value}
    expected = refusal(mode, tf.image.extract_patches, call)
    error = refusal(mode, tf_patches.extract_patches, call)
    assert type(error) is type(expected), error
    assert_says(error, f"{name}.*{shown}")


@pytest.mark.parametrize("mode", [eager, traced, session])
@pytest.mark.parametrize("images", IMAGES_REFUSED)
def test_images(images, mode):
    make, shown = IMAGES_REFUSED[images]

    def error_of(extract):
        call = CALL.copy()
        del call["images"]
        return refusal(mode, lambda **grid: extract(make(), **grid), call)

    error = error_of(tf_patches.extract_patches)
    assert type(error) is type(error_of(tf.image.extract_patches)), error
    assert_says(error, shown)


@pytest.mark.parametrize("shape", [(), (4, 4, 1), (1, 1, 4, 4, 1), (1, 0, 4, 1)])
def test_shapes_that_only_the_run_knows(shape):
    call = CALL | {"images": of_shape(*shape)}
    mode = traced_with_unknown_shape
    error = refusal(mode, tf_patches.extract_patches, call)
    assert type(error) is type(refusal(mode, tf.image.extract_patches, call)), error
    assert_says(error, "images must.*shape|sizes must have|rows")


@modes
@pytest.mark.parametrize("grid", [dict(sizes=[1, 9, 2, 1]), dict(rates=[1, 1, 9, 1])])
def test_patches_that_do_not_fit(grid, mode):
    call = CALL | grid
    expected = refusal(mode, tf.image.extract_patches, call)
    error = refusal(mode, tf_patches.extract_patches, call)
    assert type(error) is type(expected), error
    assert_says(error, "sizes [29], rates [19].*image of 4 (rows|cols)")


@in_graphs
@pytest.mark.parametrize("name", ["sizes", "strides", "rates"])
def test_symbolic_elements(name, mode):
    """The built-in's class, where a value is wanted that only the run knows."""

    def with_symbolic_element(extract):
        def call(**arguments):
            element = tf.random.uniform([], 1, 3, tf.int32)
            return extract(**arguments | {name: [1, element, 2, 1]})

        return call

    error = refusal(mode, with_symbolic_element(tf_patches.extract_patches), CALL)
    theirs = refusal(mode, with_symbolic_element(tf.image.extract_patches), CALL)
    assert type(error) is type(theirs), error
    assert_says(error, f"{name}.*Tensor")


def assert_accepted(mode, call):
    expected = mode(tf.image.extract_patches, **call)
    assert_same_bits(mode(tf_patches.extract_patches, **call), expected)


@modes
@pytest.mark.parametrize(
    "grid",
    [
        dict(sizes=(1, 2, 2, 1)),
        dict(sizes=[1, 2.5, 2.0, 1]),
        dict(sizes=[1, np.float32(2.9), np.int8(2), True]),
        dict(sizes=[1, np.array(2), tf.constant(2), 1]),
        dict(padding=b"SAME"),
        dict(padding=np.str_("SAME")),
        dict(images=IMAGES.tolist()),
        dict(sizes=[1, 5, 5, 1]),
        dict(sizes=[1, 6, 6, 1], strides=[1, 3, 3, 1]),
        dict(strides=[1, 2**31 - 1, 1, 1], padding="SAME"),
        dict(sizes=[1, 1, 1, 1], rates=[1, 2**31 - 1, 2**31 - 1, 1]),
        dict(images=of_shape(0, 4, 4, 1)),
        dict(images=of_shape(1, 4, 4, 0)),
        dict(images=of_shape(1, 0, 4, 1), padding="SAME"),
    ],
)
def test_accepted(grid, mode):
    assert_accepted(mode, CALL | grid)


@pytest.mark.parametrize("name", ["sizes", "strides", "rates"])
@pytest.mark.parametrize("values", [[1, 2, 2, 1, 9], tf.TensorShape([1, 2, 2, 1])])
def test_accepted_in_eager_mode_only(name, values):
    assert_accepted(eager, CALL | {name: values})


@in_graphs
@pytest.mark.parametrize("name", ["sizes", "strides", "rates"])
def test_a_fifth_value_in_a_graph(name, mode):
    call = CALL | {name: [1, 2, 2, 1, 9]}
    expected = refusal(mode, tf.image.extract_patches, call)
    error = refusal(mode, tf_patches.extract_patches, call)
    assert type(error) is type(expected), error
    if (name, mode) == ("sizes", traced_with_unknown_shape):
        assert_says(error, r"strides.*\[1, 1, 1, 1\]")  # too short for volumes
    else:
        assert_says(error, rf"{name}.*\[1, 2, 2, 1, 9\]")


@modes
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_numpy_integers(dtype, mode):
    lists = ["sizes", "strides", "rates"]
    call = CALL | {name: np.array(CALL[name], dtype) for name in lists}
    expected = mode(tf.image.extract_patches, **CALL)
    assert_same_bits(mode(tf_patches.extract_patches, **call), expected)


@modes
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("grid, message", BEYOND)
def test_beyond_what_can_be_counted(grid, message, padding, mode):
    call = CALL | {"padding": padding} | grid
    error = refusal(mode, tf_patches.extract_patches, call)
    in_graph = () if mode is eager else (ValueError,)
    assert isinstance(error, (tf.errors.InvalidArgumentError, *in_graph)), error
    assert_says(error, message)


@modes
def test_negative_sizes(mode):
    """The built-in gives various classes, depending on what the graph knows."""
    call = CALL | {"sizes": [1, -1, 2, 1]}
    error = refusal(mode, tf_patches.extract_patches, call)
    assert isinstance(error, tf.errors.OutOfRangeError), error
    assert_says(error, r"sizes.*\[1, -1, 2, 1\]")


def test_both_names_of_sizes():
    call = dict(images=IMAGES, ksizes=[1, 2, 2, 1], sizes=[1, 2, 2, 1])
    error = refusal(eager, tf_patches.extract_image_patches, call)
    theirs = refusal(eager, tf.compat.v1.extract_image_patches, call)
    assert type(error) is type(theirs)
    assert re.search("ksizes.*sizes", str(error))


def test_result_too_large_to_allocate():
    """Within an allowance, so that it is too large for any machine.

    TensorFlow waits ten seconds for memory to come free before it gives up: for both
    results at once.
    """
    child_output(
        """
        import resource
        from concurrent.futures import ThreadPoolExecutor
        import numpy as np
        import tensorflow as tf
        import tf_patches

        images = np.ones([1, 4, 4, 1], np.float32)
        ones = [1, 1, 1, 1]
        tf_patches.extract_patches(images, ones, ones, ones, "SAME")
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        used = int(status["VmSize"].split()[0]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, [used + 2**33] * 2)

        def enormous_patches():
            sizes = [1, 2147483647, 1, 1]
            tf_patches.extract_patches(images, sizes, ones, ones, "SAME")

        def enormous_images():
            shape = strides = [1, 2147483647, 32, 1]
            pixel = images[:, :1, :1]
            tf_patches.fold_patches(pixel, shape, ones, strides, ones, "SAME")

        with ThreadPoolExecutor(2) as threads:
            refused = {
                threads.submit(enormous_patches): "[1,4,4,2147483647]",
                threads.submit(enormous_images): "[1,2147483647,32,1]",
            }
        for call, shape in refused.items():
            error = call.exception()
            assert isinstance(error, tf.errors.ResourceExhaustedError), error
            assert shape in str(error), error

        sizes, strides = [1, 2, 2, 1], [1, 2, 2, 1]
        patches = tf_patches.extract_patches(images, sizes, strides, ones, "SAME")
        assert patches.numpy().tobytes() == images.tobytes()
        """
    )


@pytest.mark.parametrize("wrong, error, shown", FOLD_REFUSED)
def test_fold(wrong, error, shown):
    caught = refusal(eager, tf_patches.fold_patches, FOLD | wrong)
    assert type(caught) is error, caught
    assert shown in str(caught)


@pytest.mark.parametrize("mode", [traced, session])
@pytest.mark.parametrize("wrong, error, shown", FOLD_REFUSED)
def test_fold_in_a_graph(wrong, error, shown, mode):
    """While a graph is built, what is invalid is a ValueError or a TypeError."""
    caught = refusal(mode, tf_patches.fold_patches, FOLD | wrong)
    is_invalid = error in (INVALID, ValueError, TypeError)
    allowed = (INVALID, ValueError, TypeError, OverflowError)
    assert type(caught) in (allowed if is_invalid else (error,)), caught


@pytest.mark.parametrize("wrong, shown", MISMATCHED)
def test_fold_of_what_only_the_run_knows(wrong, shown):
    call = FOLD | wrong
    patches, image_shape = call.pop("patches"), np.array(call.pop("image_shape"))

    def fold(patches, image_shape):
        return tf_patches.fold_patches(patches, image_shape, **call)

    specs = [tf.TensorSpec(None, array.dtype) for array in (patches, image_shape)]
    message = f"{re.escape(shown)}|sizes must have"
    with pytest.raises(INVALID, match=message):
        tf.function(fold, input_signature=specs, autograph=False)(patches, image_shape)


def test_fold_to_shapes_that_cannot_be():
    """TensorFlow multiplies dimensions up to a zero, and aborts if that overflows."""
    child_output(
        """
        import numpy as np
        import tensorflow as tf
        import tf_patches

        ones = [1, 1, 1, 1]
        for image_shape in (
            [2**40, 2**40, 0, 1],
            [2**62, 2**62, 2**62, 0],
            [2**21, 2**21, 2**21, 0],
            [2**32, 2**31, 0, 2**31 - 1],
        ):
            patches = np.ones([1, 4, 4, 1], np.float32)
            try:
                tf_patches.fold_patches(patches, image_shape, ones, ones, ones, "SAME")
            except tf.errors.InvalidArgumentError as error:
                assert str(image_shape[0]) in str(error), error
            else:
                raise AssertionError(image_shape)
        """
    )


MISSING = [
    *((tf_patches.extract_patches, CALL, name) for name in ["images", "sizes"]),
    *(
        (tf_patches.fold_patches, FOLD, name)
        for name in ["patches", "image_shape", "sizes"]
    ),
]


@pytest.mark.parametrize("mode", [eager, traced])
@pytest.mark.parametrize("function, call, name", MISSING)
def test_missing_arguments_are_named(function, call, name, mode):
    call = {key: value for key, value in call.items() if key != name}
    error = refusal(mode, function, call)
    assert type(error) is TypeError
    assert_says(error, rf"{function.__name__}\(\) missing.*'{name}'")


def test_unknown_arguments_are_named():
    with pytest.raises(TypeError, match="'ksizes'"):
        tf_patches.extract_patches(**CALL, ksizes=[1, 2, 2, 1])


@pytest.mark.parametrize("mode", [traced, session])
def test_patches_of_no_whole_pixels(mode):
    """The image_shape is not at fault, and not shown as if it were unknown."""
    call = FOLD | {"patches": of_shape(2, 3, 3, 7)}
    error = refusal(mode, tf_patches.fold_patches, call)
    assert_says(error, r"patches must be a multiple of 4.*\[2,3,3,7\]")
    assert "?" not in str(error)


@pytest.mark.parametrize("mode", [eager, traced, session])
@pytest.mark.parametrize("excess", range(7))
def test_patches_larger_than_the_image(excess, mode):
    """By less than two strides there are none, as the docstring says."""
    call = CALL | {"sizes": [1, 4 + excess, 1, 1], "strides": [1, 3, 1, 1]}
    if excess >= 6:
        error = refusal(mode, tf_patches.extract_patches, call)
        assert_says(error, f"A patch of {4 + excess} rows.*image of 4 rows.*SAME")
        return
    patches = mode(tf_patches.extract_patches, **call)
    assert patches.shape == (1, int(excess == 0), 4, 4 + excess)
    assert_accepted(mode, call)

"""Random patches: where they lie, and that they lie there whatever the batch."""

import math

import numpy as np
import pytest
import tensorflow as tf
from cases import examples
from compare import assert_same_bits
from graphs import LOOPS, in_graph, node_types
from hypothesis import given
from hypothesis import strategies as st

import tf_patches
from tf_patches import random

SEED = [3, 7]
draw = tf_patches.stateless_random_patches


def places(images, count, sizes, seed=SEED, **options):
    """Positions and flips, as NumPy has them."""
    found = draw(images, count, sizes, seed, return_positions=True, **options)
    return [part.numpy() for part in found[1:]]


def numbered(*shape):
    """Images whose every pixel is another."""
    return np.arange(math.prod(shape)).reshape(shape)


# The random numbers.


@pytest.mark.parametrize(
    "counter, key, expected",
    [  # from kat_vectors of Random123, by the authors of the paper
        (
            [0, 0, 0, 0],
            [0, 0],
            [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8],
        ),
        (
            [0xFFFFFFFF] * 4,
            [0xFFFFFFFF] * 2,
            [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
        ),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_is_that_of_its_authors(counter, key, expected):
    words = [
        tf.constant(part, tf.uint64) for part in (counter[::2], counter[1::2], key)
    ]
    even, odd = random.philox(*words)
    assert np.stack([even, odd], -1).ravel().tolist() == expected


def philox(counter, key):
    """The same by Python's integers, a word after the other."""
    for r in range(10):
        k0, k1 = (
            (k + r * w) % 2**32
            for k, w in zip(key, (0x9E3779B9, 0xBB67AE85), strict=True)
        )
        high0, low0 = divmod(0xD2511F53 * counter[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * counter[2], 2**32)
        counter = [high1 ^ counter[1] ^ k0, low1, high0 ^ counter[3] ^ k1, low0]
    return counter


seeds = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2)
numbers = st.integers(-(2**63), 2**63 - 1)


@examples(100)
@given(seeds, st.lists(numbers, min_size=1, max_size=3), st.integers(0, 5), st.data())
def test_positions_and_flips_follow_from_the_seed(seed, indices, count, data):
    axes = data.draw(st.sampled_from([1, 2, 3]))
    space = data.draw(st.lists(st.integers(5, 9), min_size=axes, max_size=axes))
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=axes, max_size=axes))
    images = np.zeros([len(indices), *space, 1], np.uint8)
    found = places(images, count, sizes, seed, flips="all", image_indices=indices)
    (s0, s1), low = (n % 2**64 for n in seed), 2**32
    for i, k in np.ndindex(len(indices), count):
        j = indices[i] % 2**64
        words = [
            word
            for block in (0, 1)
            for word in philox(
                [2 * k + block, j % low, s0 // low, (s1 ^ j) // low],
                [s0 % low, s1 % low],
            )
        ]
        draws = [words[n] + low * words[n + 1] for n in range(0, 8, 2)]
        expected = [
            d % (n - m + 1) for d, n, m in zip(draws, space, sizes, strict=False)
        ]
        assert found[0][i, k].tolist() == expected
        assert found[1][i, k].tolist() == [bool(draws[3] >> a & 1) for a in range(axes)]


# What the patches depend on.


def test_patches_depend_on_seed_image_and_patch_alone():
    images = numbered(6, 40, 50, 1)
    every = draw(images, 9, [7, 5], SEED, flips="all").numpy()
    assert_same_bits(draw(images, 9, [7, 5], SEED, flips="all"), every)
    assert_same_bits(draw(images, 4, [7, 5], SEED, flips="all"), every[:, :4])
    assert_same_bits(draw(images[:2], 9, [7, 5], SEED, flips="all"), every[:2])
    some = draw(images[[4, 1]], 9, [7, 5], SEED, flips="all", image_indices=[4, 1])
    assert_same_bits(some, every[[4, 1]])
    for j, image in enumerate(images):
        alone = draw(image[np.newaxis], 9, [7, 5], SEED, flips="all", image_indices=[j])
        assert_same_bits(alone[0], every[j])


def test_places_differ_between_patches_images_and_seeds():
    images = np.zeros([8, 1000, 1000, 1], np.uint8)
    found = [
        tuple(position)
        for seed in ([0, 0], [0, 1], [1, 0], [-1, -1], [2**32, 0], [0, 2**32])
        for position in places(images, 8, 5, seed)[0].reshape(-1, 2)
    ]
    assert len(found) == 6 * 64 and len(set(found)) > 380


def test_flips_do_not_move_patches():
    images = numbered(3, 30, 30, 1)
    positions = places(images, 5, 8)[0]
    for flips in ("horizontal", "vertical", "all"):
        assert_same_bits(places(images, 5, 8, flips=flips)[0], positions)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_same_places_in_a_function_and_under_xla(jit_compile):
    images = np.zeros([3, 30, 40, 2], np.float32)
    weights = np.random.default_rng(0).integers(0, 5, [3, 30, 40])

    def drawn(images, seed, weights):
        request = random.read_request(images, [8, 9], None, None)
        return [
            *random.draw_places(request, 5, seed, "all", None, None),
            *random.draw_places(request, 5, seed, "all", weights, [4, 5, 6]),
        ]

    arguments = [images, tf.constant(SEED), weights]
    expected = drawn(*arguments)
    assert_same_bits(expected[0], places(images, 5, [8, 9])[0])
    traced = in_graph(drawn, *arguments, jit_compile=jit_compile)
    for ours, theirs in zip(traced, expected, strict=True):
        assert_same_bits(ours, theirs)


def test_under_xla():
    images = numbered(3, 30, 40, 2)

    def cut(images):
        return draw((images, images[..., :1]), 5, [8, 9], SEED, flips="all")

    compiled = tf.function(cut, jit_compile=True)(images)
    for ours, expected in zip(compiled, cut(images), strict=True):
        assert_same_bits(ours, expected)


def test_shapes_known_only_at_run_time():
    images = numbered(3, 30, 40, 2)
    weights = np.random.default_rng(0).uniform(size=[3, 30, 40])
    masks = images[..., :1].astype(np.uint8)

    def cut(images, masks, weights, seed, count, indices):
        options = dict(flips="all", image_indices=indices, return_positions=True)
        both = draw((images, masks), count, [8, 9], seed, **options)
        weighted = draw(
            images, count, [8, 9], seed, weights=weights, mode="EDGE", **options
        )
        assert both[0][1].shape.as_list() == [None, None, 8, 9, None]
        assert both[1].shape.as_list() == [None, None, 2]
        return *tf.nest.flatten(both), *weighted

    arguments = [images, masks, weights, SEED, 5, np.array([2, 0, 7])]
    unknown = [[None] * 4, [None] * 4, None, None, None, None]
    traced = in_graph(cut, *arguments, signature=unknown)
    options = dict(flips="all", image_indices=[2, 0, 7], return_positions=True)
    (patches, labels), positions, flips = draw(
        (images, masks), 5, [8, 9], SEED, **options
    )
    expected = [patches, labels, positions, flips]
    expected += draw(images, 5, [8, 9], SEED, weights=weights, **options)
    for ours, theirs in zip(traced, expected, strict=True):
        assert_same_bits(ours, theirs)


def test_known_shapes_are_known_in_a_graph():
    @tf.function(input_signature=[tf.TensorSpec([None, 30, 40, 3])])
    def traced(images):
        patches, positions, flips = draw(images, 5, 8, SEED, return_positions=True)
        assert patches.shape.as_list() == [None, 5, 8, 8, 3]
        assert positions.shape.as_list() == flips.shape.as_list() == [None, 5, 2]
        return patches

    types = node_types(traced.get_concrete_function())
    assert not types & LOOPS


def test_in_a_data_set():
    images = numbered(7, 20, 30, 1)
    expected = draw(images, 3, 8, SEED, flips="all")
    data = tf.data.Dataset.from_tensor_slices(images).enumerate()
    for batch in (1, 3, 7):
        batches = data.batch(batch).map(
            lambda numbers, images: draw(
                images, 3, 8, SEED, flips="all", image_indices=numbers
            ),
            num_parallel_calls=3,
        )
        assert_same_bits(np.concatenate(list(batches)), expected)


def test_in_a_session_and_in_a_vectorized_map():
    images = numbered(3, 2, 20, 30, 1).astype(np.float32)
    options = dict(count=4, sizes=5, flips="all")
    image_seeds = np.array([[1, 2], [3, 4], [-5, 2**40]])
    expected = np.stack(
        [draw(x, seed=s, **options) for x, s in zip(images, image_seeds, strict=True)]
    )
    mapped = tf.vectorized_map(
        lambda both: draw(both[0], seed=both[1], **options),
        (images, image_seeds),
        fallback_to_while_loop=False,
    )
    assert_same_bits(mapped, expected)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        given = tf.compat.v1.placeholder(tf.float32, [None, None, None, 1])
        patches = draw((given, given), seed=image_seeds[0], **options)[1]
        assert_same_bits(session.run(patches, {given: images[0]}), expected[0])


# Where patches lie.


@examples(100)
@given(st.data())
def test_patches_are_cut_where_positions_and_flips_say(data):
    axes = data.draw(st.sampled_from([1, 2, 3]))
    drawn = st.lists(st.integers(1, 3), min_size=axes, max_size=axes)
    sizes, rates = data.draw(drawn), data.draw(drawn)
    spans = [(n - 1) * rate + 1 for n, rate in zip(sizes, rates, strict=True)]
    space = [span + data.draw(st.integers(0, 3)) for span in spans]
    images = numbered(2, *space, 2)
    patches, positions, flips = draw(
        images, 4, sizes, SEED, rates, flips="all", return_positions=True
    )
    for j, k in np.ndindex(2, 4):
        window = zip(positions[j, k].numpy(), spans, rates, strict=True)
        patch = images[(j, *(slice(p, p + span, rate) for p, span, rate in window))]
        patch = np.flip(patch, np.flatnonzero(flips[j, k]))
        assert_same_bits(patches[j, k], patch)


def chi_square(observed):
    """How far counts are from equal ones, in standard deviations."""
    expected = observed.sum() / observed.size
    freedom = observed.size - 1
    return (np.sum((observed - expected) ** 2) / expected - freedom) / np.sqrt(
        2 * freedom
    )


@pytest.mark.parametrize("options", [{}, {"weights": True}])
def test_every_place_is_as_likely(options):
    images = np.zeros([20, 9, 12, 1], np.uint8)
    if options:
        options = {"weights": np.ones([20, 9, 12], np.uint8)}
    positions = places(images, 2000, [3, 5], **options)[0]
    observed = np.zeros([7, 8], int)
    np.add.at(observed, tuple(positions.reshape(-1, 2).T), 1)
    assert observed.sum() == 40000
    assert abs(chi_square(observed)) < 4
    # The place of a patch says nothing of the next patch, nor of the next image.
    codes = positions[..., 0] * 8 + positions[..., 1]
    for one, other in ((codes[:, :-1], codes[:, 1:]), (codes[:-1], codes[1:])):
        pairs = np.bincount(one.ravel() * 56 + other.ravel(), minlength=56**2)
        assert abs(chi_square(pairs)) < 4


def test_seeds_in_a_row_are_independent():
    images = np.zeros([1, 8, 8, 1], np.uint8)
    positions = np.stack([places(images, 20, 1, [0, s])[0][0] for s in range(200)])
    codes = positions[..., 0] * 8 + positions[..., 1]
    pairs = np.bincount((codes[:-1] * 64 + codes[1:]).ravel() // 16, minlength=256)
    assert abs(chi_square(pairs)) < 4


def test_flips():
    images = numbered(10, 9, 9, 1)
    volumes = numbered(10, 4, 4, 4, 1)
    expected = {
        None: [False, False],
        "horizontal": [False, True],
        "vertical": [True, False],
        "all": [True, True],
    }
    for flips, can_flip in expected.items():
        found = places(images, 100, 3, flips=flips)[1]
        share = found.reshape(-1, 2).mean(0)
        assert (np.abs(share - np.multiply(0.5, can_flip)) < 0.06).all()
    for flips, axes in {"HORIZONTAL": [2], "vertical": [1], "all": [0, 1, 2]}.items():
        found = places(volumes, 100, 3, flips=flips)[1].reshape(-1, 3)
        assert np.flatnonzero(found.any(0)).tolist() == axes
    codes = found @ [1, 2, 4]
    assert abs(chi_square(np.bincount(codes, minlength=8))) < 4
    assert places(images[..., 0], 50, 3, flips="horizontal")[1].any()


def test_a_structure_is_cut_alike():
    images = numbered(3, 20, 30, 1)
    tensors = {
        "image": np.repeat(images, 3, -1).astype(np.float32),
        "mask": images.astype(np.uint8),
        "more": (tf.constant(images > 700), images.astype(np.complex64)),
    }
    cut = draw(tensors, 5, [4, 6], SEED, flips="all")
    expected = draw(images, 5, [4, 6], SEED, flips="all").numpy()
    assert_same_bits(cut["image"], np.repeat(expected, 3, -1).astype(np.float32))
    assert_same_bits(cut["mask"], expected.astype(np.uint8))
    assert_same_bits(cut["more"][0], expected > 700)
    assert_same_bits(cut["more"][1], expected.astype(np.complex64))


def test_images_smaller_than_a_patch():
    images = np.full([50, 3, 20, 1], 2, np.int32)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"(?s)images.*\[5, 5\].*mode"
    ):
        draw(images, 2, 5, SEED)
    patches, positions, _ = draw(
        images, 20, 5, SEED, mode="CONSTANT", constant_values=7, return_positions=True
    )
    assert set(positions[..., 0].numpy().ravel()) == {-2, -1, 0}
    assert set(positions[..., 1].numpy().ravel()) == set(range(16))
    assert (np.sum(patches == 2, axis=(2, 3, 4)) == 3 * 5).all()  # all of each row
    assert np.isin(patches, [2, 7]).all()
    assert (draw(images, 2, 5, SEED, mode="reflect") == 2).numpy().all()

    with pytest.raises(tf.errors.InvalidArgumentError, match="at least as large as"):
        in_graph(lambda x: draw(x, 2, 5, SEED), images, signature=[[None] * 4])


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("batch", [0, 2])
def test_no_images_and_no_patches(batch, count):
    images = np.zeros([batch, 8, 8, 3], np.float32)
    for weights in (None, np.ones([batch, 8, 8])):
        found = draw(images, count, 4, SEED, weights=weights, return_positions=True)
        assert found[0].shape == (batch, count, 4, 4, 3)
        assert found[1].shape == found[2].shape == (batch, count, 2)


def test_gradient():
    images = tf.constant(np.random.default_rng(0).normal(size=[2, 6, 6, 1]))
    theory, numeric = tf.test.compute_gradient(
        lambda images: draw(images, 3, 4, SEED, flips="all"), [images]
    )
    np.testing.assert_allclose(theory[0], numeric[0], atol=1e-8)


# Weights.


def test_patches_are_drawn_in_proportion_to_weights():
    weights = np.random.default_rng(0).integers(0, 6, [1, 9, 10])
    images = np.zeros([1, 9, 10, 1], np.uint8)
    positions = places(images, 40000, [3, 4], weights=weights)[0][0]
    observed = np.zeros([7, 7], int)
    np.add.at(observed, tuple(positions.T), 1)
    middles = weights[0, 1:8, 2:9]  # pixel [1, 2] is the middle of the first patch
    expected = 40000 * middles / middles.sum()
    assert (observed[middles == 0] == 0).all()
    deviation = (observed - expected)[middles > 0] / np.sqrt(expected[middles > 0])
    assert abs(np.sum(deviation**2) - deviation.size) < 4 * np.sqrt(2 * deviation.size)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16", "float32", "float64"])
def test_a_single_pixel_of_weight_is_found(dtype):
    images = numbered(3, 1000, 800, 1)
    weights = np.zeros([3, 1000, 800], dtype)
    pixels = [(500, 1), (1, 798), (997, 400)]
    for image, pixel in zip(weights, pixels, strict=True):
        image[pixel] = 1
    patches = draw(images, 4, 3, SEED, weights=weights)
    middles = patches[:, :, 1, 1, 0].numpy()
    expected = [
        image[pixel] for image, pixel in zip(images[..., 0], pixels, strict=True)
    ]
    assert (middles == np.array(expected)[:, None]).all()


def test_weights_where_no_patch_fits_do_not_count():
    weights = np.zeros([2, 10, 10])
    weights[:, 0] = 5  # patches of three rows have no middle there
    weights[1, 4, 4] = 1e-9
    positions = places(np.zeros([2, 10, 10, 1]), 200, 3, weights=weights)[0]
    assert (positions[1] == [3, 3]).all()
    assert len(np.unique(positions[0], axis=0)) > 50  # no weight at all: anywhere


def test_weights_of_images_smaller_than_a_patch():
    images = np.zeros([1, 2, 9, 1])
    weights = np.ones([1, 2, 9])
    for size in (2, 3, 4, 5):
        positions = places(images, 300, size, weights=weights, mode="EDGE")[0]
        middles = positions[0] + size // 2
        assert middles.min() >= 0 and middles[:, 0].max() <= 1
        rows = set(positions[0, :, 0])
        assert rows == {p for p in range(2 - size, 1) if 0 <= p + size // 2 < 2}


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_weights_that_are_none(wrong):
    images, weights = np.zeros([2, 9, 9, 1]), np.ones([2, 9, 9])
    weights[1, 4, 4] = wrong
    with pytest.raises(tf.errors.InvalidArgumentError, match="weights must be numbers"):
        draw(images, 2, 3, SEED, weights=weights)
    with pytest.raises(tf.errors.InvalidArgumentError, match="weights must be numbers"):
        in_graph(lambda w: draw(images, 2, 3, SEED, weights=w), weights)


# What is refused.

CALL = dict(images=np.zeros([2, 9, 9, 1], np.float32), count=3, sizes=4, seed=SEED)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"images": np.zeros([9, 9])}, ValueError, r"images.*\[9,9\].*tf\.newaxis"),
        ({"images": np.zeros([1] * 6)}, ValueError, "images.*one to three axes"),
        ({"images": ()}, ValueError, "images.*empty"),
        (
            {"images": (np.zeros([2, 9, 9, 1]), np.zeros([2, 9, 8, 1]))},
            ValueError,
            r"images.*same.*\[2,9,9,1\], \[2,9,8,1\]",
        ),
        ({"count": -1}, ValueError, "count.*-1"),
        ({"count": 2**31}, ValueError, "count.*2147483648"),
        ({"count": 1.5}, TypeError, r"count.*1\.5"),
        ({"count": None}, TypeError, "count.*None"),
        ({"count": [3]}, ValueError, r"count.*\[3\]"),
        ({"sizes": [4, 4, 4]}, ValueError, r"sizes.*\[4, 4, 4\]"),
        ({"sizes": "4"}, TypeError, "sizes.*'4'"),
        ({"sizes": 10}, ValueError, r"images.*\[10, 10\].*\[9, 9\].*mode="),
        ({"rates": 3}, ValueError, r"images.*\[10, 10\].*\[9, 9\].*mode="),
        ({"seed": 3}, ValueError, r"seed.*two integers.*\[\]"),
        ({"seed": [1, 2, 3]}, ValueError, r"seed.*two integers.*\[3\]"),
        ({"seed": [1.0, 2.0]}, TypeError, "seed.*integers"),
        ({"seed": [1, 2**64]}, TypeError, "seed.*64 bits"),
        ({"seed": None}, TypeError, "seed.*None"),
        ({"flips": "both"}, ValueError, "flips.*'both'"),
        ({"flips": True}, TypeError, "flips.*True"),
        (
            {"images": np.zeros([2, 9, 1]), "flips": "vertical"},
            ValueError,
            "flips.*1 axes.*'vertical'",
        ),
        ({"mode": "MIRROR"}, ValueError, "mode.*'MIRROR'"),
        ({"mode": 3}, TypeError, "mode.*3"),
        (
            {"weights": np.zeros([2, 9, 8])},
            ValueError,
            r"weights.*\[2,9,9\].*\[2,9,8\]",
        ),
        ({"weights": np.zeros([2, 9, 9, 1])}, ValueError, r"weights\[\.\.\., 0\]"),
        ({"weights": np.zeros([2, 9, 9], complex)}, TypeError, "weights.*complex128"),
        ({"image_indices": [0]}, ValueError, r"image_indices.*\[2\].*\[1\]"),
        ({"image_indices": 0}, ValueError, r"image_indices.*\[\]"),
        ({"image_indices": [0.0, 1.0]}, TypeError, "image_indices.*integers"),
    ],
)
def test_calls_that_are_refused(change, error, message):
    call = {**CALL, **change}
    eager = tf.errors.InvalidArgumentError if error is ValueError else error
    with pytest.raises(eager, match=f"(?s){message}"):
        draw(**call)
    with tf.Graph().as_default(), pytest.raises(error, match=f"(?s){message}"):
        draw(**call)


def test_what_is_refused_at_run_time():
    images = CALL["images"]
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="images must have the same"
    ):
        in_graph(
            lambda a, b: draw((a, b), 3, 4, SEED),
            images,
            images[:, 1:],
            signature=[[None] * 4] * 2,
        )
    with pytest.raises(ValueError, match=r"rank known: tf\.ensure_shape"):
        in_graph(lambda images: draw(images, 3, 4, SEED), images, signature=[None])

"""What people do with patches, with the numbers of the documentation."""

from importlib.metadata import distribution

import nibabel
import numpy as np
import pytest
import tensorflow as tf
from compare import assert_same_bits

import tf_patches
from examples.denoise import in_tiles

ONES = [1, 1, 1, 1]


def _one_to_hundred():
    return tf.reshape(tf.range(1, 101), [1, 10, 10, 1])


def test_documented_example_solid():
    patches = tf_patches.extract_patches(
        _one_to_hundred(), [1, 3, 3, 1], [1, 5, 5, 1], ONES, "VALID"
    )
    assert patches.numpy().tolist() == [
        [
            [
                [1, 2, 3, 11, 12, 13, 21, 22, 23],
                [6, 7, 8, 16, 17, 18, 26, 27, 28],
            ],
            [
                [51, 52, 53, 61, 62, 63, 71, 72, 73],
                [56, 57, 58, 66, 67, 68, 76, 77, 78],
            ],
        ]
    ]


def test_documented_example_dilated():
    patches = tf_patches.extract_patches(
        _one_to_hundred(), [1, 3, 3, 1], [1, 5, 5, 1], [1, 2, 2, 1], "VALID"
    )
    assert patches.numpy().tolist() == [
        [
            [
                [1, 3, 5, 21, 23, 25, 41, 43, 45],
                [6, 8, 10, 26, 28, 30, 46, 48, 50],
            ],
            [
                [51, 53, 55, 71, 73, 75, 91, 93, 95],
                [56, 58, 60, 76, 78, 80, 96, 98, 100],
            ],
        ]
    ]


def test_documented_example_one_patch_fits():
    patches = tf_patches.extract_patches(
        _one_to_hundred(), [1, 4, 4, 1], [1, 7, 7, 1], ONES, "VALID"
    )
    expected = [1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24, 31, 32, 33, 34]
    assert patches.numpy().tolist() == [[[expected]]]


def test_documented_example_zeros_outside():
    patches = tf_patches.extract_patches(
        _one_to_hundred(), [1, 4, 4, 1], [1, 7, 7, 1], ONES, "SAME"
    )
    # 11 pixels are covered of 10: one more col and row lies after the image.
    (first, second), (third, fourth) = patches.numpy().reshape(2, 2, 4, 4).tolist()
    assert first == [[1, 2, 3, 4], [11, 12, 13, 14], [21, 22, 23, 24], [31, 32, 33, 34]]
    assert second == [[8, 9, 10, 0], [18, 19, 20, 0], [28, 29, 30, 0], [38, 39, 40, 0]]
    assert third == [[71, 72, 73, 74], [81, 82, 83, 84], [91, 92, 93, 94], [0] * 4]
    assert fourth == [[78, 79, 80, 0], [88, 89, 90, 0], [98, 99, 100, 0], [0] * 4]


def test_old_name_by_position_and_by_keyword():
    images = _one_to_hundred()
    sizes, strides = [1, 3, 3, 1], [1, 5, 5, 1]
    by_position = tf_patches.extract_image_patches(
        images, sizes, strides, ONES, "VALID"
    )
    by_keyword = tf_patches.extract_image_patches(
        images=images, ksizes=sizes, strides=strides, rates=ONES, padding="VALID"
    )
    assert by_position[0, 1, 1].numpy().tolist() == [56, 57, 58, 66, 67, 68, 76, 77, 78]
    assert_same_bits(by_keyword, by_position)


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_large_batch_in_chunks(chunk):
    images = np.random.default_rng(1).normal(size=(8, 20, 18, 3)).astype(np.float32)
    grid = {"sizes": [1, 8, 8, 1], "strides": [1, 4, 4, 1], "rates": ONES}

    def extract(images):
        return tf_patches.extract_patches(images, **grid, padding="SAME")

    chunks = [extract(images[i : i + chunk]) for i in range(0, 8, chunk)]
    dataset = tf.data.Dataset.from_tensor_slices(images).batch(chunk).map(extract)
    whole = extract(images)
    assert_same_bits(tf.concat(chunks, 0), whole)
    assert_same_bits(tf.concat(list(dataset), 0), whole)


def test_one_image_in_tiles_and_back():
    image = np.random.default_rng(1).integers(0, 256, (12, 20, 3)).astype(np.uint8)
    grid = {"sizes": [1, 4, 5, 1], "strides": [1, 4, 5, 1], "rates": ONES}
    patches = tf_patches.extract_patches(image[None], **grid, padding="VALID")
    tiles = tf.reshape(patches, [-1, 4, 5, 3])
    assert tiles.shape == (12, 4, 5, 3)
    assert_same_bits(tiles[5], image[4:8, 5:10])
    back = tf_patches.fold_patches(patches, [1, 12, 20, 3], **grid, padding="VALID")
    assert_same_bits(back[0], image)


def test_one_image_in_overlapping_tiles_of_a_reflected_border():
    image = np.random.default_rng(1).integers(0, 256, (10, 13, 3)).astype(np.uint8)
    wide = np.pad(image, [[0, 2], [0, 2], [0, 0]], "reflect")
    tiling = tf_patches.Tiling(image.shape[:-1], (8, 6), stride=(4, 3), remainder="pad")
    tiles = tiling.cut(image[np.newaxis])
    assert tiles.shape == (1, 8, 8, 6, 3)
    assert_same_bits(tiles[0, -1], wide[4:, 9:])
    # The mean of equal numbers, of which at most four overlap, is exact.
    assert_same_bits(tiling.merge(tf.cast(tiles, tf.float32))[0], image * np.float32(1))


@pytest.fixture(scope="module")
def brain():
    """A template of the brain that nilearn's wheel carries, `[197, 233, 189, 1]`."""
    folder = "nilearn/datasets/data"
    file = f"{folder}/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    volume = nibabel.load(distribution("nilearn").locate_file(file))
    return np.asarray(volume.dataobj)[..., np.newaxis]


def test_a_brain_is_real(brain):
    assert (brain.shape, brain.dtype) == ((197, 233, 189, 1), "uint8")
    assert len(np.unique(brain)) > 200


BLOCKS = dict(sizes=32, strides=16, padding="SAME")


def test_blocks_of_a_brain_are_those_of_the_reflected_brain(brain):
    patches = tf_patches.extract_patches(brain[np.newaxis], **BLOCKS, mode="REFLECT")
    assert patches.shape == (1, 13, 15, 12, 32**3)
    # 16 * 12 + 32 planes, 16 * 14 + 32 rows, 16 * 11 + 32 cols.
    wide = np.pad(brain, [(13, 14), (11, 12), (9, 10), (0, 0)], "reflect")
    for i, j, k in [(0, 0, 0), (12, 14, 11), (5, 0, 11), (7, 8, 3)]:
        at = (slice(16 * n, 16 * n + 32) for n in (i, j, k))
        assert_same_bits(patches[0, i, j, k], wide[tuple(at)].ravel())


@pytest.mark.large(3)
def test_a_brain_put_back_of_blocks_that_overlap(brain):
    grid, shape = dict(BLOCKS, mode="REFLECT"), [1, *brain.shape]
    patches = tf_patches.extract_patches(brain[np.newaxis] / 7.0, **grid)
    made = tf_patches.fold_patches(patches, shape, **grid, reduction="mean")
    np.testing.assert_allclose(made[0], brain / 7.0, rtol=1e-15)


@pytest.mark.large(3)
@pytest.mark.parametrize("blend", ["average", "gaussian"])
def test_a_model_of_a_brain_in_blocks(brain, blend):
    """Two values of every pixel, which depend on no other: the whole at once."""
    volume = tf.cast(brain, tf.float32)

    def model(blocks):
        return tf.concat([tf.sigmoid(blocks / 20 - 5), tf.sqrt(blocks)], -1)

    given = []

    def counting(blocks):
        given.append(len(blocks))
        return model(blocks)

    tiling = tf_patches.Tiling(volume.shape[:-1], 32, overlap=0.25)
    made = in_tiles(counting, volume, tiling, blend, tiles_at_once=100)
    assert given == [100] * 6 + [40]  # of 8 * 10 * 8 blocks
    np.testing.assert_allclose(made, model(volume), rtol=1e-6)


def test_a_volume_smaller_than_a_block():
    volume = tf.reshape(tf.range(24.0), [2, 3, 4, 1])
    tiling = tf_patches.Tiling(volume.shape[:-1], 8, stride=4)
    made = in_tiles(tf.sqrt, volume, tiling, "gaussian")
    np.testing.assert_allclose(made, tf.sqrt(volume), rtol=1e-6)


def test_random_patches_are_crops_and_reproducible():
    image = np.random.default_rng(1).integers(0, 256, (30, 40, 3)).astype(np.uint8)

    def cut(seed):
        patches, positions, flips = tf_patches.stateless_random_patches(
            image[np.newaxis],
            50,
            9,
            [seed, 0],
            flips="horizontal",
            return_positions=True,
        )
        return patches[0], positions[0].numpy(), flips[0, :, 1].numpy()

    crops, positions, flips = cut(7)
    assert set(flips) == {False, True}
    for crop, (row, col), flip in zip(crops, positions, flips, strict=True):
        expected = image[row : row + 9, col : col + 9]
        assert_same_bits(crop, expected[:, ::-1] if flip else expected)
    assert_same_bits(cut(7)[0], crops)
    assert not np.array_equal(cut(8)[0], crops)

"""Slides read by the workers of tf.data service."""

from collections.abc import Iterator

import tensorflow as tf

from tf_patches.arguments import invalid
from tf_patches.slides.grid import Grid, blocks_of

_ROUNDS = 3


def served(
    grid: Grid, wanted: list[int], service: str
) -> Iterator[tuple[int, dict[str, tf.Tensor]]]:
    """The wanted blocks, each with its number, and each once, in any order.

    The service delivers a block at most once: what a worker had when it died is lost.
    So lost blocks are asked for again, and in the end read here.
    """
    if not grid.view.source.can_be_served:
        invalid("service needs a slide in a file that its workers can open.")
    missing = set(wanted)
    for _ in range(_ROUNDS):
        if not missing:
            return
        data = blocks_of(grid, sorted(missing), parallel_reads=1)
        data = data.apply(
            tf.data.experimental.service.distribute(
                processing_mode=tf.data.experimental.service.ShardingPolicy.DYNAMIC,
                service=service,
            )
        )
        for block in data:
            number = grid.block_of(int(block["index"][0]))
            if number in missing:
                missing.remove(number)
                yield number, block
    rest = sorted(missing)
    yield from zip(rest, blocks_of(grid, rest, parallel_reads=1), strict=True)

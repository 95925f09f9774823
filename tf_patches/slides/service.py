"""Slides read by the workers of tf.data service."""

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tf_patches.arguments import invalid
from tf_patches.dispatch import not_converted
from tf_patches.slides.grid import Grid, blocks_of

_ROUNDS = 3
# Blocks take a worker a second or so. A worker that died is waited for by TensorFlow
# for many minutes.
_SECONDS_OF_SILENCE = 30.0
_SECONDS_TO_ANSWER = 10.0


def served(
    grid: Grid, wanted: list[int], service: str
) -> Iterator[tuple[int, dict[str, tf.Tensor]]]:
    """The wanted blocks, each with its number, and each once, in any order.

    The service delivers a block at most once: what a worker had when it died is lost.
    So blocks that do not come are asked for again, and in the end read here.
    """
    if not grid.view.source.can_be_served:
        invalid("service needs a slide in a file that its workers can open.")
    missing = set(wanted)
    for _ in range(_ROUNDS):
        if not missing:
            return
        for number, pixels in _until_silence(_distributed(grid, missing, service)):
            if int(number) in missing:
                missing.remove(int(number))
                yield int(number), grid.cut(number, pixels)
            if not missing:
                return
    rest = sorted(missing)
    yield from zip(rest, blocks_of(grid, rest, parallel_reads=1), strict=True)


def find_dispatcher(service: Any) -> str:
    """The name by which a dispatcher knows this machine.

    An address where nobody answers is refused: TensorFlow would wait for an hour.
    """
    if not isinstance(service, str):
        raise TypeError(
            "service must be an address, as 'grpc://localhost:5050', but got "
            f"{service!r}."
        )
    protocol, _, address = service.partition("://")
    host, _, port = address.rpartition(":")
    if not protocol or not host or not port.isdigit():
        invalid(
            "service must be an address, as 'grpc://localhost:5050', but got "
            f"{service!r}."
        )
    place = (host.strip("[]"), int(port))
    try:
        with socket.create_connection(place, _SECONDS_TO_ANSWER) as connection:
            return connection.getsockname()[0]
    except (OSError, OverflowError) as error:
        raise tf.errors.UnavailableError(
            None,
            None,
            f"No dispatcher answers at {service} ({error}). Start one: "
            "python -m tf_patches slide-dispatcher --port PORT",
        ) from None


def _distributed(grid: Grid, numbers: set[int], service: str) -> tf.data.Dataset:
    """The pixels of blocks; patches are cut here, as they are several times as many."""
    data = tf.data.Dataset.from_tensor_slices(np.array(sorted(numbers), np.int64))
    data = data.map(not_converted(lambda number: (number, grid.pixels(number))))
    return data.apply(
        tf.data.experimental.service.distribute(
            processing_mode=tf.data.experimental.service.ShardingPolicy.DYNAMIC,
            service=service,
        )
    )


def _until_silence(data: tf.data.Dataset) -> Iterator[Any]:
    """Elements, until they end or none has come for a while."""
    elements: queue.Queue[Any] = queue.Queue(maxsize=1)
    is_over = threading.Event()

    def put(element: Any) -> None:
        while not is_over.is_set():
            with contextlib.suppress(queue.Full):
                return elements.put(element, timeout=1)

    def collect() -> None:
        try:
            for element in data:
                put(element)
                if is_over.is_set():
                    return
            put(None)
        except Exception as error:  # raised where the elements are taken
            put(error)

    # A daemon: it may wait for a worker that died long after all blocks are there.
    threading.Thread(target=collect, daemon=True).start()
    try:
        while True:
            element = elements.get(timeout=_SECONDS_OF_SILENCE)
            if element is None:
                return
            if isinstance(element, tf.errors.NotFoundError):
                _explain(element)
            if isinstance(element, Exception):
                raise element
            yield element
    except queue.Empty:
        return
    finally:
        is_over.set()


def _explain(error: tf.errors.NotFoundError) -> None:
    """Says what a dispatcher or a worker lacks that was started in another way."""
    if "Op type not registered 'TFPatches>" in error.message:
        raise tf.errors.FailedPreconditionError(
            None,
            None,
            "The service has no ops that read slides. Start its dispatcher by python "
            "-m tf_patches slide-dispatcher, its workers by slide-worker.",
        ) from error

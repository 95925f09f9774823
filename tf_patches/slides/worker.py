"""A worker of tf.data service that can read slides."""

from typing import Any

import tensorflow as tf

from tf_patches.slides import library as _library  # noqa: F401 (registers the ops)
from tf_patches.slides.service import find_dispatcher


def start_worker(dispatcher: str, port: int = 0) -> Any:
    """Starts a worker in this process, for a dispatcher "grpc://HOST:PORT".

    Port 0 is any that is free.
    """
    protocol, _, address = dispatcher.partition("://")
    host = find_dispatcher(dispatcher)
    host = f"[{host}]" if ":" in host else host
    return tf.data.experimental.service.WorkerServer(
        tf.data.experimental.service.WorkerConfig(
            dispatcher_address=address,
            worker_address=f"{host}:%port%",
            port=port,
            protocol=protocol,
        )
    )

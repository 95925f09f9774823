"""A dispatcher and a worker of tf.data service that can read slides.

The dispatcher reads none, but it builds the datasets to part them among workers.
"""

from typing import Any

import tensorflow as tf

from tf_patches.slides import library as _library  # noqa: F401 (registers the ops)
from tf_patches.slides.service import find_dispatcher

# Workers tell the dispatcher so often that they live; it forgets those that do not.
_HEARTBEAT_MS = 5_000
_MOST_SILENCE_MS = 20_000


def start_dispatcher(port: int = 0) -> Any:
    """Starts a dispatcher in this process. Port 0 is any that is free."""
    return tf.data.experimental.service.DispatchServer(
        tf.data.experimental.service.DispatcherConfig(
            port=port, worker_timeout_ms=_MOST_SILENCE_MS
        )
    )


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
            heartbeat_interval_ms=_HEARTBEAT_MS,
        )
    )

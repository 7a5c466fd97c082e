"""How the service is, found out by trying: the store is asked to let us write, the engine to take a turn."""

import shutil
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final

from etl_runner import __version__
from etl_runner.api import views
from etl_runner.api.rooms import Rooms
from etl_runner.clock import to_iso
from etl_runner.engine.knocks import LedgerEntry
from etl_runner.errors import StoreUnavailable
from etl_runner.jsontypes import Json
from etl_runner.store.reads import Reads

ANSWER_WAIT_S: Final = 5.0
"""How long a health check waits for the engine's next turn."""

LOW_DISK_BYTES: Final = 16 * 1024 * 1024


def health_of(rooms: Rooms, reads: Reads) -> dict[str, Json]:
    """How the service is: `status` is "ok", "degraded" (a bad edit was not taken over) or "unavailable".

    The store is tried and the engine asked for a turn, so this may take a few seconds when it is unwell.
    """
    trouble = rooms.engine.trouble
    store = _store_trouble(rooms, reads)
    engine = _engine_trouble(rooms) if store is None and trouble is None else trouble
    faults = [views.fault(each) for each in rooms.faults]
    unwell = store is not None or engine is not None
    return {
        "status": "unavailable" if unwell else "degraded" if faults else "ok",
        "version": __version__,
        "store": {"writable": store is None and trouble is None, "trouble": store or trouble},
        "engine": {"working": engine is None, "trouble": engine},
        "config": {"fingerprint": rooms.config.fingerprint, "faults": faults},
        "at": to_iso(rooms.clock.now_ms()),
    }


def _store_trouble(rooms: Rooms, reads: Reads) -> str | None:
    try:
        reads.try_to_write()
        free = shutil.disk_usage(rooms.store.path.parent).free
    except StoreUnavailable as error:
        return str(error)
    except OSError as error:
        return f"the folder of the store cannot be looked at: {error.strerror}"
    if free < LOW_DISK_BYTES:
        return f"the disk of the store has only {free:,} bytes left: free some space"
    return None


def _engine_trouble(rooms: Rooms) -> str | None:
    """Ask for an empty turn: it proves that the engine's thread lives and gets through."""
    try:
        rooms.engine.record(LedgerEntry()).result(timeout=ANSWER_WAIT_S)
    except (FutureTimeoutError, CancelledError):
        return rooms.engine.trouble or f"the engine took no turn within {ANSWER_WAIT_S:.0f} s"
    return None

"""What the daemon and a worker process say to each other over their socket.

A frame is a four-byte big-endian length and a msgpack message. No pickle: a worker runs foreign code, and
its bytes must not be able to run any in the daemon. JSON travels as JSON text, since msgpack has no integers
beyond 64 bits.
"""

import struct
from typing import Final, TypeAlias

import msgspec

from etl_runner.tasks.context import ContextFields
from etl_runner.tasks.handlers import Ended

_LENGTH: Final = struct.Struct(">I")
HEADER_BYTES: Final = _LENGTH.size
FRAME_LIMIT: Final = 256 * 2**20
"""No honest frame is longer; a payload has 64 MiB where most is allowed, receipts some hundred bytes each."""


class Run(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """To the worker: call this function. `arguments` is JSON text.

    A result of more than `limit_bytes` is blamed on `task`.
    """

    context: ContextFields
    module: str
    function: str
    search_path: str
    environment: dict[str, str]
    arguments: bytes
    task: str
    limit_bytes: int


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """From the worker: started, and about to read its first Run."""


class Reported(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """From the worker: how far the running task is."""

    done: float
    total: float | None = None
    note: str = ""


class Logged(msgspec.Struct, frozen=True, kw_only=True, tag="log"):
    """From the worker: a record of the logging module, as one text."""

    text: str


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """From the worker: the task has ended, and the next Run may come."""

    ended: Ended


FromWorker: TypeAlias = Ready | Reported | Logged | Finished
Message: TypeAlias = Run | FromWorker

_encoder = msgspec.msgpack.Encoder()
_from_worker = msgspec.msgpack.Decoder(FromWorker)
_run = msgspec.msgpack.Decoder(Run)


def frame(message: Message) -> bytes:
    """The bytes of one message, length first."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def body_length(header: bytes) -> int:
    """The length of the body that follows a header. Raises ValueError for one that no honest peer sends."""
    length: int = _LENGTH.unpack(header)[0]
    if length > FRAME_LIMIT:
        raise ValueError(f"a frame of {length} bytes is announced; {FRAME_LIMIT} is the most there can be")
    return length


def decode_run(body: bytes) -> Run:
    """Read what the daemon sent."""
    return _run.decode(body)


class FrameReader:
    """Puts the messages of a worker together from whatever pieces the socket gives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> list[FromWorker]:
        """Take a piece, give the messages that are whole now. Raises ValueError for bytes that are none."""
        self._buffer += piece
        messages: list[FromWorker] = []
        while len(self._buffer) >= HEADER_BYTES:
            end = HEADER_BYTES + body_length(bytes(self._buffer[:HEADER_BYTES]))
            if len(self._buffer) < end:
                break
            messages.append(_from_worker.decode(bytes(self._buffer[HEADER_BYTES:end])))
            del self._buffer[:end]
        return messages

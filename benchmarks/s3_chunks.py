"""A CSV on SeaweedFS, planned in chunks and read chunk by chunk in this process. Prints one line of JSON.

    python benchmarks/s3_chunks.py [--mebibytes 256] [--chunk-mebibytes 16] [--quoted] [--s3 seaweedfs|moto]

`bytes_beyond` counts what left S3 on top of the object's size: windows around the cuts, the header.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

from etl_runner.demo.embedded_aws import embedded_aws
from etl_runner.s3 import VersionedWriter, read_chunk
from etl_runner.s3.items import ItemStream, pin

MEBIBYTE = 1024 * 1024


class CountingClient:
    """An S3 client that counts the bytes asked for by ranged gets."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.bytes_asked = 0

    def head_object(self, **parameters: Any) -> Any:
        """Pass on."""
        return self._client.head_object(**parameters)

    def get_object(self, **parameters: Any) -> Any:
        """Count and pass on."""
        first, last = parameters["Range"].removeprefix("bytes=").split("-")
        self.bytes_asked += int(last) + 1 - int(first)
        return self._client.get_object(**parameters)


def blocks(size: int, *, quoted: bool) -> Iterator[bytes]:
    """A header and rows of about 60 bytes, with a quoted line break in every tenth where asked for."""
    yield b"id,name,city,amount,note\n"
    note = '"first line\nsecond ""line"""' if quoted else "nothing to say here"
    rows = [f"{n},name {n},city {n % 97},{n * 3},{note if n % 10 == 0 else 'plain'}\n" for n in range(20_000)]
    block = "".join(rows).encode()
    written = 0
    while written < size:
        yield block
        written += len(block)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mebibytes", type=int, default=256)
    parser.add_argument("--chunk-mebibytes", type=int, default=16)
    parser.add_argument("--quoted", action="store_true")
    parser.add_argument("--s3", choices=["seaweedfs", "moto"], default="seaweedfs")
    options = parser.parse_args()
    with embedded_aws(options.s3) as aws:
        json.dump(measure(aws.client("s3"), options), sys.stdout)
    print()


def measure(client: Any, options: argparse.Namespace) -> dict[str, Any]:
    where = {"Bucket": "bench", "Key": "in.csv"}
    client.create_bucket(Bucket="bench")
    client.put_bucket_versioning(Bucket="bench", VersioningConfiguration={"Status": "Enabled"})
    began = time.perf_counter()
    with VersionedWriter("bench", "in.csv", idempotency_key="bench", s3=client) as writer:
        for block in blocks(options.mebibytes * MEBIBYTE, quoted=options.quoted):
            writer.write(block)
    written = time.perf_counter()
    config = {
        "InputType": "CSV",
        "CSVHeaderLocation": "FIRST_ROW",
        "ChunkBytes": options.chunk_mebibytes * MEBIBYTE,
    }
    counting = CountingClient(client)
    pinned = pin(counting, where, config=config)
    chunks = ItemStream(counting, pinned, config).take(10**9)
    planned = time.perf_counter()
    cpu_began = time.process_time()
    rows = sum(1 for chunk in chunks for _ in read_chunk(chunk, s3=counting))
    done = time.perf_counter()
    size = pinned["Size"]
    return {
        "benchmark": "s3_chunks",
        "s3": options.s3,
        "quoted": options.quoted,
        "bytes": size,
        "chunks": len(chunks),
        "rows": rows,
        "write_mb_per_s": round(size / 1e6 / (written - began), 1),
        "plan_s": round(planned - written, 3),
        "read_s": round(done - planned, 3),
        "read_cpu_s": round(time.process_time() - cpu_began, 3),
        "read_mb_per_s": round(size / 1e6 / (done - planned), 1),
        "bytes_beyond": counting.bytes_asked - size,
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


if __name__ == "__main__":
    main()

"""S3: chunk planning, pinned reads, all-or-nothing versioned writes. May import floor 0 to 2 only.

Task functions import from here: `from etl_runner.s3 import read_chunk, put_versioned`.
"""

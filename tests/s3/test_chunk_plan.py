"""Chunks are whole records: every row once, wherever the cuts fall, whatever the quotes do."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl_runner.errors import StatesError
from etl_runner.s3 import plan, splitter
from etl_runner.s3.plan import ChunkPlanner
from etl_runner.s3.read import read_chunk
from etl_runner.s3.reader_config import ReaderConfig
from etl_runner.s3.splitter import BoundarySearch, State, scan
from tests.s3.fake_source import FakeSource

HEADERS = ["a", "b", "c"]

# Text that is all edges: quotes, line ends, delimiters, letters of one to four bytes.
messy = st.lists(
    st.sampled_from(
        ['"', '""', "\n", "\r\n", "\r", ",", ";", "x", "ä", "€", "𝄞", " ", '","', '"\n"', ',"', '",']
    ),
    max_size=60,
).map("".join)


def rows_of(text: str, delimiter: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]


def as_dicts(rows: list[list[str]], header: list[str]) -> list[dict[str, str]]:
    return [dict(zip(header, row + [""] * len(header), strict=False)) for row in rows]


def config(**more: Any) -> ReaderConfig:
    return ReaderConfig.from_json(
        {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": HEADERS, **more}
    )


def plan_all(source: Any, settings_: ReaderConfig) -> list[dict[str, Any]]:
    return ChunkPlanner(source.read, source.pinned, settings_).take(10**9)


def read_all(source: Any, chunks: list[dict[str, Any]]) -> list[Any]:
    return [row for chunk in chunks for row in read_chunk(chunk, s3=source)]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=messy, chunk_bytes=st.integers(1, 40), name=st.sampled_from(["COMMA", "SEMICOLON"]))
@example(text='x,"\n","\n","\n","\n"', chunk_bytes=5, name="COMMA")
@example(text='5" pipe\n"a"b"\n"c"\n', chunk_bytes=3, name="COMMA")
@example(text='"open\nfor ever', chunk_bytes=3, name="COMMA")
def test_the_rows_of_the_chunks_are_the_rows_of_the_whole(text: str, chunk_bytes: int, name: str) -> None:
    source = FakeSource(text.encode())
    reader = config(ChunkBytes=chunk_bytes, CSVDelimiter=name)
    chunks = plan_all(source, reader)

    assert [0, *(chunk["End"] for chunk in chunks)] == [
        *(chunk["Start"] for chunk in chunks),
        len(source.data),
    ]
    assert all(chunk["End"] > chunk["Start"] for chunk in chunks)
    assert read_all(source, chunks) == as_dicts(rows_of(text, reader.delimiter_char), HEADERS)


@settings(max_examples=150, deadline=None)
@given(text=messy, chunk_bytes=st.integers(1, 30), bom=st.booleans())
def test_the_first_row_is_the_header_and_in_no_chunk(text: str, chunk_bytes: int, bom: bool) -> None:
    source = FakeSource((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    rows = rows_of(text, ",")
    reader = ReaderConfig.from_json(
        {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "ChunkBytes": chunk_bytes}
    )
    if rows and len(set(rows[0])) != len(rows[0]):
        with pytest.raises(StatesError, match=r"CSV headers cannot contain duplicates\."):
            plan_all(source, reader)
        return
    chunks = plan_all(source, reader)

    assert {tuple(chunk["Header"]) for chunk in chunks} <= {tuple(rows[0] if rows else ())}
    assert read_all(source, chunks) == (as_dicts(rows[1:], rows[0]) if rows else [])


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.text(st.sampled_from('ab",;\n\r é'), max_size=8), min_size=3, max_size=3), max_size=25
    ),
    chunk_bytes=st.integers(1, 60),
    line_end=st.sampled_from(["\n", "\r\n"]),
    restart=st.integers(1, 5),
)
def test_a_planner_made_anew_from_any_cursor_goes_on_the_same(
    rows: list[list[str]], chunk_bytes: int, line_end: str, restart: int
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows([HEADERS, *rows])
    source = FakeSource(text.getvalue().encode())
    reader = ReaderConfig.from_json(
        {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "ChunkBytes": chunk_bytes}
    )
    whole = plan_all(source, reader)
    pieces, cursor, done = [], None, False
    while not done:
        planner = ChunkPlanner(source.read, source.pinned, reader, cursor)
        pieces += planner.take(restart)
        cursor, done = json.loads(json.dumps(planner.cursor)), planner.done

    assert pieces == whole
    assert read_all(source, whole) == as_dicts(rows, HEADERS)


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=6)), max_size=20),
    size=st.integers(1, 50),
)
def test_json_lines_are_cut_at_line_feeds_only(values: list[dict[str, str]], size: int) -> None:
    source = FakeSource(b"".join(json.dumps(value).encode() + b"\n" for value in values))
    chunks = plan_all(source, ReaderConfig.from_json({"InputType": "JSONL", "ChunkBytes": size}))

    assert {chunk["Header"] for chunk in chunks} <= {None}
    assert read_all(source, chunks) == values


@settings(max_examples=400, deadline=None)
@given(text=messy, at=st.integers(0, 80))
def test_a_boundary_found_by_luck_is_one_found_by_scanning(text: str, at: int) -> None:
    data = text.encode()
    at = min(at, len(data))
    found = BoundarySearch(at, ord(",")).feed(data[at:])
    if found is not None:
        state, _ = scan(data[:at], State.START, ord(","))
        _, end = scan(data[at:], state, ord(","))
        ends = [end + at]
        while ends[-1] < found:
            ends.append(ends[-1] + scan(data[ends[-1] :], State.START, ord(","))[1])

        assert found in ends


def test_a_file_without_quotes_costs_one_window_per_cut() -> None:
    source = FakeSource(b"name,number,text\n" * 400_000)
    chunks = plan_all(source, config(ChunkBytes=1_000_000))

    assert len(chunks) == 7
    assert source.bytes_read <= 7 * plan.WINDOW_BYTES


def test_quoted_fields_settle_a_cut_within_one_window() -> None:
    source = FakeSource(b'"one\ntwo","three ""quoted"" four",5\r\n' * 200_000)
    planner = ChunkPlanner(source.read, source.pinned, config(ChunkBytes=1_000_003))
    chunks = planner.take(100)

    assert {source.data[chunk["Start"] : chunk["Start"] + 5] for chunk in chunks} == {b'"one\n'}
    assert planner.bytes_read <= len(chunks) * plan.WINDOW_BYTES + 3


def test_where_both_readings_stay_possible_the_chunk_is_scanned_from_its_start() -> None:
    ambiguous = b'","\n' * 1_000_000
    source = FakeSource(b'"' + ambiguous + b'"\n')
    planner = ChunkPlanner(source.read, source.pinned, config(ChunkBytes=1_500_000))
    chunks = planner.take(100)

    assert planner.bytes_read > len(source.data)
    assert read_all(source, chunks) == as_dicts(rows_of(source.data.decode(), ","), HEADERS)


def test_a_quoted_field_of_many_lines_just_under_the_limit_is_never_cut() -> None:
    field = "no quote in here\n" * (splitter.FIELD_LIMIT_CHARS // 17)
    text = f'a,"{field}",c\n' * 12
    source = FakeSource(text.encode())
    for chunk_bytes in (70_000, 131_000, 200_000):
        chunks = plan_all(source, config(ChunkBytes=chunk_bytes))

        assert read_all(source, chunks) == [{"a": "a", "b": field, "c": "c"}] * 12


def test_a_field_over_the_limit_is_an_error_and_never_wrong_rows() -> None:
    field = "no quote in here\n" * 40_000
    source = FakeSource(f'a,"{field}",c\n'.encode() * 3)
    chunks = plan_all(source, config(ChunkBytes=100_000))
    with pytest.raises(StatesError, match=r"s3://b/k, bytes 0 to .*a field of more than 131072 characters"):
        read_all(source, chunks)


def test_a_chunk_that_ends_inside_quotes_says_so() -> None:
    source = FakeSource(b'a,"one\ntwo",c\nd,e,f\n')
    chunk = {**plan_all(source, config(ChunkBytes=5))[0], "End": 7}
    with pytest.raises(StatesError, match="its last record goes on behind its end"):
        list(read_chunk(chunk, s3=source))


def test_a_header_without_an_end_is_named() -> None:
    source = FakeSource(b'"a,b\n' + b"x" * 2_000_000)
    reader = ReaderConfig.from_json({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "ChunkBytes": 5})
    with pytest.raises(StatesError, match=r"first row of s3://b/k .*is a quote not closed"):
        plan_all(source, reader)


def test_an_object_without_bytes_has_no_chunks() -> None:
    assert plan_all(FakeSource(b""), config(ChunkBytes=5)) == []

"""Texts that are no JSON, and what Jackson says of them."""

import pytest

from etl_runner.api.sfn.jackson import NotJson, fault_of, read

VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
RECORDED = [
    # Sentences that AWS has been seen to answer.
    ("not some json", f"Unrecognized token 'not': was expecting {VALUES}"),
    (
        "{'not': 'json'",
        "Unexpected character (''' (code 39)): was expecting double-quote to start field name",
    ),
    ('{"a": ""R"}', "Unexpected character ('R' (code 82)): was expecting comma to separate Object entries"),
    ("", ""),
]
OTHERS = [
    ("[1,]", f"Unexpected character (']' (code 93)): expected a valid value {VALUES}"),
    ('{"a":1,}', "Unexpected character ('}' (code 125)): was expecting double-quote to start field name"),
    (
        '{"a" 1}',
        "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value",
    ),
    ('{"a":}', "Unexpected character ('}' (code 125)): expected a value"),
    (
        '{"a":1',
        (
            "Unexpected end-of-input: expected close marker for Object "
            '(start marker at [Source: (String)"{"a":1"; line: 1, column: 1])'
        ),
    ),
    (
        '{\n "a": [1}',
        (
            "Unexpected close marker '}': expected ']' "
            '(for Array starting at [Source: (String)"{\n "a": [1}"; line: 2, column: 7])'
        ),
    ),
    (
        '"a\nb"',
        (
            "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to be "
            "included in string value"
        ),
    ),
    ('"\\x"', "Unrecognized character escape 'x' (code 120)"),
    ("01", "Invalid numeric value: Leading zeroes not allowed"),
    ("1.x", "Unexpected character ('x' (code 120)) in numeric value: Decimal point not followed by a digit"),
    ("{} x", f"Unrecognized token 'x': was expecting {VALUES}"),
    (" \t ", ""),
]


@pytest.mark.parametrize(("text", "fault"), RECORDED + OTHERS)
def test_a_text_that_is_no_json_is_refused_in_jacksons_words(text: str, fault: str) -> None:
    with pytest.raises(NotJson) as refused:
        read(text)

    assert str(refused.value) == fault


@pytest.mark.parametrize("text", ["2", '"x"', "null", '{"a": [1, {"b": -1.5e3}], "c": "\\u00e9"}', " [] "])
def test_json_has_no_fault(text: str) -> None:
    read(text)

    assert fault_of(text) == ""


def test_a_text_nested_too_deep_is_refused_and_not_followed() -> None:
    assert fault_of("[" * 200_000).startswith("Document nesting depth (1001) exceeds the maximum allowed")


def test_a_large_array_is_read_once() -> None:
    assert fault_of("[" + "1," * 100_000 + "x]").startswith("Unrecognized token 'x'")

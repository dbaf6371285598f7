"""CSV files as people have them: separators, decimal commas, encodings, gzip, large cells."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.db import Database
from agentnb.core.db.sources.delimited import read_csv
from agentnb.core.errors import UsageError


def loaded(path):
    with Database("sqlite://") as db:
        db.load(path, "t")
        return db.query("select * from t").dicts()


@pytest.mark.parametrize(("text", "first"), [
    ("a;b\n1,5;x\n2,25;y\n", {"a": 1.5, "b": "x"}),
    ("a\tb\n1,5\tx\n", {"a": 1.5, "b": "x"}),
    ("a|b\n1|x\n", {"a": 1, "b": "x"}),
    ("a,b\n1,x;y\n", {"a": 1, "b": "x;y"}),
    ("a;b\n1.000,5;x\n", {"a": "1.000,5", "b": "x"}),
    ("a;b\n1,5;x\n2;y\n", {"a": 1.5, "b": "x"}),
    ('a;b\n"1;5";"x\ny"\n', {"a": "1;5", "b": "x\ny"}),
    ("a\n1;5\n", {"a": "1;5"}),
    ('"a,b"\n"1,5"\n', {"a,b": "1,5"}),
    ("a;b\n1.234;x\n1,5;y\n", {"a": "1.234", "b": "x"}),
    ("a;b\n1.234;1,5\n2.000;2,5\n", {"a": "1.234", "b": 1.5}),
    ("a;b\n1.234;1,5\n2.5;2,5\n", {"a": 1.234, "b": 1.5}),
    ("a;b\n1.234;x\n", {"a": 1.234, "b": "x"}),
])  # fmt: skip
def test_the_separator_is_told_by_the_first_lines(tmp_path, text, first):
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert loaded(path)[0] == first


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_text_is_read_by_its_byte_order_mark_or_as_utf_8(tmp_path, encoding):
    path = tmp_path / "x.csv"
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    path.write_bytes(f"{mark}é,b\n1,ü\n".encode(encoding))
    assert loaded(path) == [{"é": 1, "b": "ü"}]


def test_another_encoding_is_refused_and_not_guessed(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("a,b\n1,ü\n".encode("latin-1"))
    with pytest.raises(UsageError, match="cannot be read") as caught:
        loaded(path)
    assert "iconv" in caught.value.hint


def test_a_quote_that_is_never_closed_does_not_take_the_rest_of_the_file(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,"x\n2,y\n3,z\n')
    with pytest.raises(UsageError, match="cannot be read") as caught:
        loaded(path)
    assert "double quote" in caught.value.hint


def test_tabs_and_gzip_are_read_by_their_names_and_a_broken_file_is_refused(tmp_path):
    (tmp_path / "x.tsv").write_text("a\tb\n1\tx\n")
    assert loaded(tmp_path / "x.tsv") == [{"a": 1, "b": "x"}]
    packed = tmp_path / "x.csv.gz"
    packed.write_bytes(gzip.compress(b"a;b\n1,5;x\n" * 1 + b"2;y\n" * 5_000))
    assert len(loaded(packed)) == 5_001
    packed.write_bytes(packed.read_bytes()[:60])
    with pytest.raises(UsageError, match="cannot be read"):
        loaded(packed)
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b"[]"))
    with pytest.raises(UsageError, match="unknown kind"):
        loaded(tmp_path / "x.json.gz")


def test_a_cell_may_be_large(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"a,b\n1,{'x' * 1_000_000}\n")
    assert len(loaded(path)[0]["b"]) == 1_000_000


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([",", ";", "\t", "|"]),
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=6),
                 min_size=3, max_size=3),
        min_size=1, max_size=5,
    ),
)  # fmt: skip
def test_what_is_written_with_quotes_is_read_as_it_was(tmp_path_factory, separator, rows):
    import csv

    path = tmp_path_factory.mktemp("csv") / "x.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL)
        writer.writerows([["one", "two", "three"], *rows])
    source = read_csv(path)
    assert [name for name, _ in source.columns] == ["one", "two", "three"]
    text = [kind == "text" for _, kind in source.columns]
    found = list(source.rows)
    assert len(found) == len(rows)
    for row, wanted in zip(found, rows, strict=True):
        for value, one, is_text in zip(row, wanted, text, strict=True):
            assert not is_text or value == (one or None)

"""Large values as files of the home, and the bytes that a cache may take there and in memory."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import agentnb
from agentnb.core.cache import Cache
from agentnb.core.cache.files import Pointer, ValueFiles
from agentnb.core.cache.outcome import CellOutcome
from agentnb.core.codec.errors import ClassMissingError
from agentnb.core.errors import UsageError
from agentnb.core.redis import RedisClient
from tests.waiting import until

MB = 1_000_000
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / "home"


@pytest.fixture(scope="module")
def redis(home):
    with RedisClient(home=home) as client:
        yield client


@pytest.fixture
def make(redis, tmp_path):
    """Return what makes a cache of a prefix of its own, whose files have a folder of their own."""
    prefix = f"p{next(_NUMBERS)}"

    def make(max_bytes=100 * MB):
        return Cache(redis, prefix=prefix, home=tmp_path / "home", max_bytes=max_bytes)

    return make


def files(cache):
    folder = cache._codec._files._folder
    return sorted(folder.iterdir()) if folder.exists() else []


def array(number):
    """Return an array of 1.2 MB, which is large enough to be a file."""
    return np.full(300_000, number, dtype=np.float32)


VALUES = {
    "array": array(1),
    "fortran": np.asfortranarray(np.arange(150_000.0).reshape(150, 1000)),
    "times": np.arange(150_000).astype("datetime64[s]"),
    "empty axis": np.zeros((0, 3)),
    "records": np.zeros(100_000, dtype=[("a", "<i4"), ("b", "<f8")]),
    "objects": np.array([None, "x"] * 20, dtype=object),
    "text": os.urandom(600_000).hex(),
    "bytes": os.urandom(1_200_000),
    "nested": {"a": [array(2)], "b": (1, array(3))},
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_any_size_comes_back_equal_and_can_be_changed(make, name):
    cache, value = make(), VALUES[name]
    cache.set("k", value)
    found = cache.get("k")
    assert type(found) is type(value)
    if isinstance(value, np.ndarray):
        assert (found.dtype, found.shape) == (value.dtype, value.shape)
        assert found.flags.f_contiguous == value.flags.f_contiguous
        assert found.flags.writeable
        assert found.flags.aligned
        assert found.tobytes() == value.tobytes() or value.dtype == object
    elif name != "nested":
        assert found == value


def test_a_large_value_is_a_private_file_and_a_line_in_the_server(make, redis):
    cache = make()
    cache.set("small", "x" * 1000)
    assert files(cache) == []
    cache.set("large", array(1), tags=["t"])
    (file,) = files(cache)
    assert file.parent.stat().st_mode & 0o077 == 0
    assert 1_200_000 < file.stat().st_size < 1_200_200
    assert redis.strlen(cache._keys.cache("large")) < 400
    row = cache.inspect.table()[0]
    assert (row[0], row[2]) == ("large", file.stat().st_size)
    assert "numpy.ndarray float32" in row[3]
    preview = cache.inspect.preview("large")
    assert (preview.kind, preview.size) == ("numpy.ndarray float32 (300000,)", row[2])
    assert preview.text.startswith("array([1., 1.")
    cache.set("larger", np.zeros(600_000))
    assert cache.inspect.preview("larger").kind == "large value"
    assert make().get("large").sum() == array(1).sum()
    assert cache.get("large", local=True)[0] == 1
    assert cache.get_or_set("other", lambda: array(4))[0] == 4
    assert make().get_or_set("other", lambda: 1)[0] == 4
    assert cache.invalidate_tags("t") == 1


def test_equal_values_share_a_file(make):
    cache = make()
    for key in "ab":
        cache.set(key, array(1))
    assert len(files(cache)) == 1


def test_the_value_and_the_names_of_a_cell_are_files_too(make):
    cache = make()
    print_of = cache.cells.fingerprint("x", {})
    cache.cells.set("c", print_of, CellOutcome(array(1), {"b": array(2)}), ttl=60)
    assert len(files(cache)) == 2
    found = make().cells.get("c", print_of)
    assert (found.value[0], found.names["b"][0]) == (1, 2)
    files(cache)[0].unlink()
    assert cache.cells.get("c", print_of) is None


def test_the_files_that_were_not_used_for_longest_go_first_and_all_stay_within_the_limit(make):
    cache = make(max_bytes=5 * MB)
    for number in range(4):
        cache.set(f"k{number}", array(number))
        for file in files(cache):  # an hour passes
            os.utime(file, (0, file.stat().st_mtime - 3600))
    assert cache.get("k0")[0] == 0  # used now
    for number in range(4, 7):
        cache.set(f"k{number}", array(number))
        assert sum(file.stat().st_size for file in files(cache)) <= 5 * MB
    left = [number for number in range(7) if cache.get(f"k{number}") is not None]
    assert left == [0, 4, 5, 6]


def test_a_value_of_more_than_a_quarter_is_refused_and_says_what_to_raise(make):
    cache = make(max_bytes=4 * MB)
    with pytest.raises(
        UsageError, match=r"takes 1\.2 MB; the cache keeps 1\.0 MB of one"
    ) as caught:
        cache.set("k", array(1))
    assert "AGENTNB_CACHE_BYTES" in caught.value.hint
    assert cache.get("k") is None


def test_a_home_that_takes_no_file_leaves_values_in_the_server(make, caplog):
    cache = make()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MB // 2, hard))  # as a disk that is full
    try:
        with caplog.at_level(logging.WARNING):
            for key in "ab":
                cache.set(key, array(ord(key)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caplog.text.count("large values are kept in the server's memory") == 1
    assert [cache.get(key)[0] for key in "ab"] == [97, 98]
    assert files(cache) == []
    cache.set("c", array(3))
    assert len(files(cache)) == 1


DAMAGES = ["gone", "cut", "other", "flipped", "link", "pipe", "forged", "short", "folder"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("seen", [False, True])
def test_a_pointer_to_another_file_or_none_counts_as_missing(make, redis, damage, seen, caplog):
    cache = make()
    cache.set("k", array(1))
    name, (file,) = cache._keys.cache("k"), files(cache)
    pointer = redis.get(name)
    if seen:
        assert cache.get("k")[0] == 1
    else:
        cache = make()
    if damage == "flipped":
        with file.open("r+b") as opened:
            opened.seek(700_001)
            byte = opened.read(1)
            opened.seek(700_001)
            opened.write(bytes([byte[0] ^ 1]))
    elif damage == "link":
        moved = file.rename(file.with_name("elsewhere"))
        file.symlink_to(moved)
    elif damage == "pipe":
        file.unlink()
        os.mkfifo(file)
    elif damage == "gone":
        file.unlink()
    elif damage == "cut":
        os.truncate(file, MB)
    elif damage == "other":
        file.write_bytes(b"agentnb array 1\n" + b"\xff" * (file.stat().st_size - 16))
    elif damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        redis.set(
            name, pointer[:2] + b"/" * 32 + pointer[34:] if damage == "forged" else pointer[:9]
        )
    caplog.clear()
    assert cache.get("k", "missing") == "missing"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert cache.get_or_set("k", lambda: array(1)).tobytes() == array(1).tobytes()
    assert cache.get("k").tobytes() == array(1).tobytes()
    if damage != "folder":
        assert file.is_file()
        assert not file.is_symlink()


BYTES = np.random.default_rng(1).bytes(1_200_007)
FLIPPED = {
    "a bit": {0: 1},
    "a byte": {4103: 255},
    "the end": {1_200_006: 128},
    "two blocks": {4103: 128, 8199: 128},
}


@pytest.mark.parametrize("damage", [*FLIPPED, "blocks moved", "a block of zeros"])
@pytest.mark.parametrize("summed", [True, False])
def test_damage_that_leaves_the_size_is_found_by_sums_and_by_the_digest(tmp_path, damage, summed):
    values = ValueFiles(tmp_path / "cache", limit=100 * MB)
    pointer = values.put(BYTES)
    assert len(pointer.sums) == 32
    pointer = Pointer.read(pointer.write() if summed else pointer._replace(sums=b"").write())
    assert values.get(pointer) == BYTES
    data = bytearray(BYTES)
    for at, bits in FLIPPED.get(damage, {}).items():
        data[at] ^= bits
    if damage == "blocks moved":
        data[:4096], data[4096:8192] = data[4096:8192], data[:4096]
    elif damage == "a block of zeros":
        data[40_960:45_056] = bytes(4096)
    next((tmp_path / "cache").iterdir()).write_bytes(data)
    with pytest.raises(ClassMissingError, match="is damaged"):
        ValueFiles(tmp_path / "cache", limit=100 * MB).get(pointer)


def test_values_are_read_in_a_process_without_numpy_and_written_there(tmp_path, monkeypatch):
    values = ValueFiles(tmp_path / "cache", limit=100 * MB)
    summed = values.put(BYTES)
    with monkeypatch.context() as patched:
        patched.delitem(sys.modules, "numpy")
        other = ValueFiles(tmp_path / "cache", limit=100 * MB)
        plain = other.put(BYTES)
        assert (plain.digest, plain.sums) == (summed.digest, b"")
        assert other.get(summed) == BYTES
    assert ValueFiles(tmp_path / "cache", limit=100 * MB).get(plain) == BYTES


def test_a_process_that_is_killed_while_it_writes_leaves_no_half_value(tmp_path):
    folder = tmp_path / "cache"
    code = f"""if True:
        import os, pathlib
        from agentnb.core.cache.files import Pointer, ValueFiles
        values = ValueFiles(pathlib.Path({str(folder)!r}), limit=10**9)
        while True:
            values.put(os.urandom(30_000_000))
    """
    with subprocess.Popen([sys.executable, "-c", code]) as other:
        try:
            until(lambda: list(folder.glob("*.part")), 30)
        finally:
            other.send_signal(signal.SIGKILL)
    values = ValueFiles(folder, limit=10**9)
    for file in folder.iterdir():
        if file.suffix != ".part":
            digest = hashlib.sha256(file.read_bytes()).digest()
            assert file.name == digest.hex()
    data = b"z" * MB
    assert values.get(values.put(data)) == data


def test_what_a_killed_process_has_begun_to_write_is_removed_later(tmp_path):
    values = ValueFiles(tmp_path / "cache", limit=100 * MB)
    values.put(b"x" * MB)
    old, new = (tmp_path / "cache" / f"{name}.part" for name in ("old", "new"))
    for one in (old, new):
        one.write_bytes(b"half")
    os.utime(old, (0, time.time() - 7200))
    values.put(b"y" * MB)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_shared_server_keeps_its_values_itself(redis, tmp_path):
    url = f"unix://{redis.target.options['path']}"
    with RedisClient(url) as shared:
        cache = Cache(shared, prefix="shared", home=tmp_path, max_bytes=100 * MB)
        cache.set("k", os.urandom(2 * MB))
        assert redis.strlen("{shared}:cache:k") > 2 * MB
    assert list(tmp_path.iterdir()) == []


# The memory of the server


def idle(redis, key, seconds):
    """Let a key be unused for some seconds."""
    redis.restore(key, 3_600_000, redis.dump(key), replace=True, idletime=seconds)


def test_the_keys_that_are_idle_for_longest_go_and_nothing_else(make, redis):
    cache = make(max_bytes=800_000)
    cache._budget._written = -(10**9)  # it does not look by itself
    other = Cache(redis, prefix="somebody")
    for number in range(30):
        cache.set(f"k{number}", os.urandom(10_000))
        idle(redis, cache._keys.cache(f"k{number}"), 1000 - number)
    cache.cells.set("c", "of", CellOutcome(1, {"a": os.urandom(20_000)}), ttl=60)
    idle(redis, cache._keys.internal("cache-cell", "c"), 5000)
    other.set("k", os.urandom(10_000))
    idle(redis, other._keys.cache("k"), 9000)
    redis.set("job", b"x" * 1_000_000)
    idle(redis, "job", 9000)
    removed = cache._budget.keep()
    kept = cache.keys()
    left = [number for number in range(30) if f"k{number}" in kept]
    assert left == list(range(30 - len(left), 30))
    assert 12 <= removed <= 16
    assert cache.cells.get("c", "of") is None
    assert other.get("k") is not None
    assert redis.strlen("job") == 1_000_000
    assert redis.config_get("maxmemory")["maxmemory"] == "0"
    assert cache._budget.keep() == 0
    redis.delete("job")


def test_a_process_looks_at_the_keys_when_it_has_written_an_eighth(make):
    budget = make(max_bytes=800_000)._budget
    assert budget.wrote(24_999) is None
    assert budget.wrote(1).result(30) == 0
    assert budget.wrote(24_999) is None


def test_bare_names_and_a_cache_without_a_limit_remove_nothing(redis, home):
    for cache in (Cache(redis), Cache(redis, prefix="", home=home, max_bytes=100)):
        assert cache._budget.wrote(10**9) is None
        assert cache._budget.keep() == 0


def test_the_setting_holds_for_the_home_and_for_a_shared_server_where_it_is_given(redis, home):
    url = f"unix://{redis.target.options['path']}"
    for options, limit in [
        ({}, 500_000_000),
        ({"cache_bytes": "8MB"}, 2_000_000),
        ({"redis_url": url}, None),
        ({"redis_url": url, "cache_bytes": "8MB"}, 8_000_000),
    ]:
        with agentnb.connect(home=home, **options) as hub:
            assert hub.cache._budget._limit == limit

"""Builds: what they fetch, what needs BuildKit, why they fail; and fetching images."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time

import pytest
from docker.errors import APIError
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.docker.buildkit import Need, command_of, needed
from agentnb.core.docker.dockerfile import read, readings
from agentnb.core.docker.endpoint import Endpoint
from agentnb.core.docker.fetching import refuse_fetching, refuse_reaching
from agentnb.core.docker.policy import POLICIES
from agentnb.core.errors import (
    BuildFailed,
    ConfigError,
    DeadlineExceeded,
    NotFoundError,
    OptionRefused,
    UnavailableError,
    UsageError,
)
from tests.core.registry import serving
from tests.waiting import until

HERE = {"Os": "linux", "Architecture": "amd64", "Config": {}}


@pytest.fixture(scope="module")
def registry():
    with serving() as found:
        yield found


def _removed(engine, image):
    """Remove an image; return False while the engine is busy with what was made of it."""
    try:
        engine.remove_image(image, force=True)
    except APIError as error:
        if error.status_code == 404:
            return True
        if error.status_code == 409:
            return False
        raise
    return True


@pytest.fixture
def tag(docker_engine):
    """Return a name for images, of which none is left."""
    name = f"agentnb-test-{os.getpid()}-built"
    yield name
    for one in docker_engine.images(name=name):
        until(lambda image=one["Id"]: _removed(docker_engine, image))


@pytest.fixture
def old_command(require, monkeypatch):
    """Put Debian's docker command in front, which has BuildKit in itself."""
    monkeypatch.setenv("PATH", f"/usr/bin:{os.environ['PATH']}")
    try:
        said = subprocess.run(
            ["/usr/bin/docker", "--version"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except OSError:
        said = ""
    require("docker", "version 20.10" in said, f"/usr/bin/docker is not Debian's of 20.10: {said}")


def fetching(text, args=None, policy="isolated", *, images=False, has=("here", "bb:1")):
    """Ask what a build would fetch, of an engine that has some images."""
    found = dict.fromkeys(has, HERE)
    refuse_fetching(text, args or {}, POLICIES[policy], found.get, images=images)


FETCHING = {
    "an address": (2, "FROM here\nADD http://h/x /x\n"),
    "an address in capitals": (2, "FROM here\nadd HTTPS://h/x /x\n"),
    "an address behind a file": (2, "FROM here\nADD file http://h/x /x/\n"),
    "an address in a list": (2, 'FROM here\nADD ["http://h/x", "/x"]\n'),
    "an address in a list, escaped": (2, 'FROM here\nADD ["\\u0068ttp:\\/\\/h/x", "/x"] more\n'),
    "an address over lines": (3, "FROM here\n\nADD \\\n# note\n\n  ht\\\ntp://h/x /x\n"),
    "an address in quotes": (2, "FROM here\nADD 'http'://h/x /x\n"),
    "an address with an escape": (2, "FROM here\nADD ht\\tp\\://h/x /x\n"),
    "an address in a variable": (2, "FROM here\nADD $URL /x\n"),
    "an address in parts": (3, "FROM here\nARG A=http\nADD ${A}//h/x /x\n"),
    "an address with options": (2, "FROM here\nADD --chown=1:1 --checksum=sha256:1 http://h /x\n"),
    "an address with quoted options": (2, 'FROM here\nADD --chown="1 1" http://h /x\n'),
    "a repository": (2, "FROM here\nADD git@h:a/b.git /x\n"),
    "a trigger": (2, "FROM here\nONBUILD ADD http://h/x /x\n"),
    "behind a mark of the byte order": (2, "\ufeffFROM here\n\x0bADD\thttp://h /x\n"),
    "with line ends of windows": (2, "FROM here\r\nADD http://h /x\r\n"),
    "another escape": (3, "# escape=`\nFROM here\nADD ht`\ntp://h /x\n"),
    "an escape that is not the first": (4, "# check=all\n# escape=`\nFROM here\nADD http://h /\n"),
    "two escapes at an end": (3, "FROM here\nRUN echo \\\\\nADD http://h /x\n"),
    "a text that is none": (3, "FROM here\nRUN echo 'a <<CMD b'\nADD http://h /x\nCMD\n"),
    "a text for those that read none": (3, "FROM here\nRUN cat <<CMD\nADD http://h /x\nCMD\n"),
    "an image": (1, "FROM nosuch\n"),
    "an image in a variable": (2, "ARG IT=nosuch\nFROM $IT\n"),
    "an image in a default": (1, "FROM ${IT:-nosuch}\n"),
    "an image that cannot be told": (2, "ARG IT\nFROM ${IT#x}here\n"),
    "an image of another platform": (1, "FROM --platform=linux/arm64 here\n"),
    "the image of a later stage": (2, "FROM here AS one\nFROM two\nFROM here AS two\n"),
    "an image for a file": (2, "FROM here\nCOPY --from=nosuch /x /x\n"),
    "a number that is no stage": (2, "FROM here\nCOPY --from=1 /x /x\n"),
    "an image in a variable for a file": (2, "FROM here\nCOPY --from=$IT /x /x\n"),
    "an image to mount": (2, "FROM here\nRUN --mount=type=bind,from=nosuch,target=/x true\n"),
    "an image of a trigger": (2, "FROM here\nONBUILD COPY --from=nosuch /x /x\n"),
    "another reader": (1, "# syntax=docker/dockerfile:1\nFROM here\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", FETCHING)
def test_without_a_network_a_line_that_fetches_is_refused_by_its_number(case):
    line, text = FETCHING[case]
    with pytest.raises(OptionRefused, match=rf"^Dockerfile line {line}: ") as caught:
        fetching(text)
    assert caught.value.hint
    fetching(text, policy="network", images=True)


def test_what_fetches_nothing_is_built():
    fetching(
        "ARG TAG=1\nARG BASE=bb\n"
        "FROM --platform=linux/amd64 ${BASE}:${TAG} AS one\n"
        "FROM ONE AS two\n"
        "FROM --platform=$BUILDPLATFORM here\n"
        "ADD --chown=1:1 a.tar.gz b-[0-9]*.txt 'c' /x/\n".replace(" 'c'", "")
        + 'ADD ["a b", "/x"]\n'
        "COPY --from=one /a /a\nCOPY --from=0 /b /b\nCOPY $FILE http://x /y\n"
        "RUN --mount=type=cache,target=/c --mount=type=bind,from=two,target=/t wget http://h/x\n"
        "RUN cat <<EOF\nADD http://in/a/text\nEOF\n"
        "ENV URL=http://h/x\nLABEL a=http://h\n# ADD http://h /x\n"
        "FROM scratch\n"
    )
    fetching("ARG TAG=2\nFROM bb:$TAG\n", {"TAG": "1"})


def test_the_argument_that_chooses_another_reader_is_refused_too():
    with pytest.raises(OptionRefused, match="syntax=evil"):
        fetching("FROM here\n", {"BUILDKIT_SYNTAX": "evil"})


def test_with_a_network_images_are_left_where_they_are_if_that_is_asked():
    with pytest.raises(
        NotFoundError, match="line 1: FROM nosuch\nneeds the image nosuch"
    ) as caught:
        fetching("FROM nosuch\n", policy="network", images=False)
    assert "hub.docker.pull('nosuch" in caught.value.hint
    fetching("FROM here\nADD http://h /x\n", policy="network", images=False)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("FROM a\nFRM b\n", 2, "did you mean FROM"),
        ("FROM a\n\n  hello world\n", 3, "instructions: ADD"),
        ("FROM a\nONBU\u0130LD ADD http://h /x\n", 2, "did you mean ONBUILD"),
    ],
)
def test_an_instruction_that_does_not_exist_is_said_with_its_line(text, line, said):
    with pytest.raises(BuildFailed, match=f"line {line}: unknown instruction") as caught:
        fetching(text)
    assert said in caught.value.hint


SAFE = st.lists(
    st.sampled_from(
        ["RUN echo \\", "RUN a \\\\", "RUN cat <<EOF", "EOF", "CMD", "# note", "", "COPY a \\",
         "RUN echo 'x", 'RUN x <<-"CMD"', "\tCMD", "ENV A=b", "RUN echo `", "ADD a b", "x <<CMD"]
    ),
    max_size=6,
)  # fmt: skip


@given(SAFE, SAFE, st.sampled_from(["", "# escape=`\n", "# syntax=x\n# escape=`\n", "\ufeff"]))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_an_address_on_a_line_of_its_own_is_found_whatever_stands_around_it(before, after, begin):
    text = begin + "\n".join(["FROM here", *before, "ADD http://h/x /x", *after])
    try:
        found = readings(text)
    except BuildFailed:
        return  # no parser reads it
    steps = [str(one) for reading in found for one in reading.instructions]
    if "ADD http://h/x /x" in steps:
        with pytest.raises(OptionRefused):
            fetching(text)


@given(st.text("AD RUNFOM\\`#<>=\"'[]{}$:/.\n\t\r\x85é", max_size=60))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_text_is_read_or_refused_by_its_line(text):
    lines = [one.line for one in read(text).instructions] if "escape" not in text else []
    assert lines == sorted(lines)
    try:
        fetching(text)
    except (BuildFailed, OptionRefused) as error:
        refused = error.message
    else:
        refused = "Dockerfile line "
    assert "Dockerfile line " in refused


@pytest.mark.parametrize("flag", ["network=host", "security=insecure", "device=x", "mount", "x"])
def test_a_step_gets_no_more_of_the_host_than_others(flag):
    with pytest.raises(OptionRefused, match=rf"line 2: RUN --{flag}"):
        refuse_reaching(read(f"FROM here\nRUN --{flag} true\n"))
    refuse_reaching(read("FROM here\nRUN --network=none --mount=type=tmpfs,target=/x true\n"))


def test_the_engine_reads_the_lines_as_they_are_read_here(docker, docker_image, tag):
    text = (
        f"# escape=\\\n# note\n  from {docker_image} As Base\n\nARG  A=1 \\\n\n  # inside\n  B=2\n"
        'RUN echo one \\ \n && echo two\nenv X=1 \\\nY=2\n\tLABEL a=b\nFROM base\nCMD [ "x" ]\n'
    )
    found = docker.build_image(None, tag, text=text)
    steps = [line.partition(" : ")[2] for line in found.log.splitlines() if line[:5] == "Step "]
    ours = [" ".join(str(one).split()).lower() for one in read(text).instructions]
    assert [" ".join(one.split()).lower() for one in steps][: len(ours)] == ours
    assert [one.line for one in read(text).instructions] == [3, 5, 9, 11, 13, 14, 15]
    assert found.steps == len(ours)


def test_a_service_of_the_host_is_not_reached_by_a_build(docker, docker_image, registry, tag):
    asked = len(registry.asked)
    line = f"ADD http://{registry.address}/secret /x"
    for text in (f"FROM {docker_image}\n{line}\n", f"FROM {registry.address}/app:1\n"):
        with pytest.raises(OptionRefused, match="Dockerfile line "):
            docker.build_image(None, tag, text=text)
    docker.build_image(
        None, f"{tag}:base", text=f"FROM {docker_image}\nONBUILD {line}\n", policy="network"
    )
    with pytest.raises(OptionRefused, match=rf"line 1: FROM {tag}:base, with ONBUILD ADD"):
        docker.build_image(None, tag, text=f"FROM {tag}:base\n")
    assert len(registry.asked) == asked


# BuildKit

NEEDING = {
    "RUN --mount=type=cache,target=/c true": "RUN --mount",
    "COPY --chmod=600 a b": "COPY --chmod=600",
    "COPY --link a b": "COPY --link",
    "ADD --checksum=x a b": "ADD --checksum",
    "RUN cat <<EOF\nx\nEOF": "a text in the Dockerfile",
    "COPY <<-'A' <<B /x/\n\tx\n\tA\ny\nB": "a text in the Dockerfile",
    "FROM --platform=$BUILDPLATFORM here": "FROM --platform",
    "ARG TARGETARCH": "ARG TARGETARCH",
    "HEALTHCHECK --start-interval=1s CMD x": "HEALTHCHECK --start-interval",
}


@pytest.mark.parametrize("line", NEEDING)
def test_a_line_that_needs_buildkit_is_known_before_the_build(line):
    found = needed(read(f"FROM here\n{line}\n"), {})
    assert found is not None
    assert (found.line, NEEDING[line] in found.what) == (2, True)


@pytest.mark.parametrize(
    "line",
    ["RUN x <<EOF", "ARG TARGETARCH=x", "RUN echo $((1<<4))", "RUN echo '<<EOF'\nCMD x",
     "RUN cat <<< x", "COPY --chown=1 --from=a b c", "RUN test --mount=x", "CMD --x"],
)  # fmt: skip
def test_a_line_that_only_looks_like_it_does_not(line):
    assert needed(read(f"FROM here\n{line}\n"), {"TARGETOS": "linux"}) is None
    assert needed(read("# syntax=x\nFROM here\n"), {}).line == 1
    assert needed(read("FROM here\nARG TARGETOS\n"), {"TARGETOS": "linux"}) is None


def test_without_buildkit_it_is_said_before_the_build_with_its_line(
    docker, docker_image, tag, tmp_path, monkeypatch
):
    text = f"FROM {docker_image}\n\nRUN --mount=type=cache,target=/c true\n"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"line 3 needs BuildKit \(RUN --mount=.*on PATH"
    ) as error:
        docker.build_image(None, tag, text=text)
    assert "buildx" in error.value.hint
    # A command of today's without the plugin.
    (tmp_path / "docker").write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "Docker version 28.2.2, build x" || exit 1\n'
    )
    (tmp_path / "docker").chmod(0o755)
    with pytest.raises(ConfigError, match="has no buildx"):
        docker.build_image(None, tag, text=text)


@pytest.mark.parametrize(
    ("version", "plugin", "good"),
    [
        ("28.2.2", True, True),
        ("28.2.2", False, False),
        ("20.10.24", False, True),
        ("", False, False),
    ],
)
def test_a_command_is_known_by_its_plugin_or_by_its_version(
    tmp_path, monkeypatch, version, plugin, good
):
    """The command is a script here: it is the way it is asked that is tried, not a build by it."""
    words = ['[ "$1" = --version ] && { echo "Docker version ' + version + '"; exit 0; }']
    words += ['[ "$1" = buildx ] && exit 0'] if plugin else []
    (tmp_path / "docker").write_text("\n".join(["#!/bin/sh", *words, "exit 1\n"]))
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "another")
    tls = {"ca_cert": "/c/ca.pem", "client_cert": ("/c/cert.pem", "/c/key.pem"), "verify": True}
    need = Need(7, "RUN --mount=x")
    if not good:
        with pytest.raises(ConfigError, match=r"^Dockerfile line 7 needs BuildKit \(RUN"):
            command_of(Endpoint("tcp://h:2376", "DOCKER_HOST", tls), need)
        return
    found = command_of(Endpoint("tcp://h:2376", "DOCKER_HOST", tls), need)
    assert found.path == str(tmp_path / "docker")
    wanted = {"DOCKER_HOST": "tcp://h:2376", "DOCKER_CERT_PATH": "/c", "DOCKER_TLS_VERIFY": "1"}
    assert wanted.items() <= found.env.items()
    assert "DOCKER_CONTEXT" not in found.env


@pytest.mark.usefixtures("old_command")
def test_buildkit_builds_what_needs_it(docker, docker_image, tag, tmp_path, capfd):
    for name, text in {"a": "a", "left": "x", ".dockerignore": "left\nDockerfile\n"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "key").symlink_to("/etc/hostname")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {docker_image}\nARG WHO\nARG TARGETARCH\nCOPY --chmod=640 . /ctx/\n"
        "RUN --mount=type=secret,id=key ls /sys/class/net; sed 's/^/it is: /' /run/secrets/key; "
        "wc -c < /run/secrets/key > /size; echo $WHO-$TARGETARCH > /who\n"
    )
    steps = []
    made = docker.build_image(
        tmp_path,
        tag,
        args={"WHO": "me"},
        secrets={"key": "hunter2-x"},
        on_step=steps.append,
        fresh=True,  # a step that the cache has prints nothing
    )
    assert made.id.startswith("sha256:")
    assert [step.number for step in steps][-1] == made.steps == 3
    assert "it is: ••••••" in made.log
    assert "hunter2" not in made.log + str(docker.engine.api.history(tag))
    assert "BuildKit does not limit the memory of steps" in made.log
    assert "eth0" not in made.log
    shown = docker.run(
        tag, ["sh", "-c", "cat /size /who; ls -a /ctx; ls -l /ctx/a; ls -l /ctx/key"]
    )
    assert shown.stdout.split("\n")[0].strip() == "9"
    assert "me-amd64" in shown.stdout
    assert "key -> /etc/hostname" in shown.stdout
    assert "-rw-r-----" in shown.stdout
    assert not {"left", "Dockerfile"} & set(shown.stdout.split())
    assert f"{tag}:latest" in [row.image for row in docker.images()]
    assert "hunter2" not in "".join(capfd.readouterr())


@pytest.mark.usefixtures("old_command")
def test_a_build_by_buildkit_fails_with_its_line_and_ends_in_time(docker, docker_image, tag):
    begin = f"FROM {docker_image}\n\nRUN --mount=type=cache,target=/c "
    with pytest.raises(BuildFailed, match=r"^Dockerfile line 3, step 2/2: RUN --mount") as caught:
        docker.build_image(None, tag, text=f"{begin}nosuchprogram; exit 7\n")
    assert "exit code: 7" in caught.value.message
    assert "nosuchprogram: not found" in caught.value.message
    assert caught.value.hint is None
    with pytest.raises(BuildFailed) as caught:
        docker.build_image(None, tag, text=f"FROM {docker_image}\nRUN cat <<EOF\nhi there\nEOF\n")
    assert "too old for line 2" in caught.value.hint
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="longer than 2 s"):
        docker.build_image(None, tag, text=f"{begin}sleep 60\n", timeout=2)
    assert time.monotonic() - started < 30
    for secrets in ({"../x": "y"}, {"a,src=/etc/passwd": "y"}):
        with pytest.raises(UsageError, match="the id of a secret"):
            docker.build_image(None, tag, text=f"{begin}true\n", secrets=secrets)
    with pytest.raises(UsageError, match="none does"):
        docker.build_image(None, tag, text=f"FROM {docker_image}\n", secrets={"a": "b"})


# Why a build failed


@pytest.mark.parametrize(
    ("line", "files", "cause", "hint"),
    [
        ("RUN exit 5", {}, "non-zero code: 5", None),
        ("RUN wget http://agentnb.invalid/", {}, "non-zero code: 1", "policy='network'"),
        ("RUN echo bad address; exit 6", {}, "non-zero code: 6", "policy='network'"),
        ("RUN exit 137", {}, "non-zero code: 137", "1,073,741,824 bytes of memory"),
        ("COPY nosuch /x", {"a": ""}, "file not found", "paths are from the folder"),
        ("COPY a key /x/", {"a": "", "key": "", ".dockerignore": "#\nk*\n"}, "", "by line 2 of"),
        ("COPY a /x", None, "file not found", "name a folder"),
        ("COPY --from=0 /nosuch /x", {}, "file does not exist", "--from"),
    ],
)  # fmt: skip
def test_a_failure_says_the_line_the_step_the_cause_and_what_to_do(
    docker, docker_image, tag, tmp_path, line, files, cause, hint
):
    for name, text in (files or {}).items():
        (tmp_path / name).write_text(text)
    text = f"FROM {docker_image} AS one\nFROM one\n\nENV A=1 \\\n  B=2\n{line}\n"
    with pytest.raises(BuildFailed) as caught:
        docker.build_image(None if files is None else tmp_path, tag, text=text)
    said, _, behind = caught.value.message.partition("\n")
    assert said == f"Dockerfile line 6, step 4/4: {line}"
    assert cause in behind
    if hint is None:
        assert caught.value.hint is None
    else:
        assert hint in caught.value.hint


def test_how_much_of_the_context_is_sent_is_told(docker, docker_image, tag, tmp_path):
    (tmp_path / "big").write_bytes(os.urandom(3_000_000))
    seen = []
    docker.build_image(
        tmp_path,
        tag,
        text=f"FROM {docker_image}\nCOPY big /big\n",
        on_sent=lambda done, total: seen.append((done, total)),
    )
    done, total = seen[-1]
    assert done == total > 3_000_000
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


# Fetching


@pytest.fixture
def app(registry, docker_engine):
    """Return the name of an image that only the registry has."""
    registry.put("agentnb/app:1", "first " * 50_000)
    name = f"{registry.address}/agentnb/app:1"
    yield name
    for one in docker_engine.images(name=name):
        until(lambda image=one["Id"]: _removed(docker_engine, image))


def test_an_image_is_fetched_with_progress_and_again_only_where_it_changed(docker, app, registry):
    seen = []
    made = docker.pull(app, on_progress=seen.append)
    assert made.fetched
    assert made.digest.startswith(app.rpartition(":")[0] + "@sha256:")
    assert seen[-1].text.startswith("Status: Downloaded newer image")
    assert seen[-1].done == seen[-1].total
    again = docker.pull(app)
    assert (again.id, again.fetched) == (made.id, False)
    registry.put("agentnb/app:1", "second")
    assert docker.pull(app).id != made.id
    assert app not in [row.image for row in docker.images()]
    assert docker.pull(made.digest).id == made.id


def test_images_are_built_and_fetched_by_those_who_await(docker, app, tag):
    async def both():
        return await asyncio.gather(
            docker.apull(app), docker.abuild_image(None, tag, text="FROM scratch\nLABEL a=b\n")
        )

    fetched, built = asyncio.run(both())
    assert (fetched.name, built.tag) == (app, f"{tag}:latest")


def test_a_container_fetches_its_image_only_where_that_is_asked(docker, app, registry):
    asked = len(registry.asked)
    for options in ({}, {"pull": "never"}):
        with pytest.raises(NotFoundError, match="the engine has no image") as caught:
            docker.run(app, **options)
        assert f"hub.docker.pull({app!r})" in caught.value.hint
    assert len(registry.asked) == asked
    with pytest.raises(NotFoundError, match="no such program"):
        docker.run(app, pull="missing")
    asked = len(registry.asked)
    assert asked
    docker.run_container(app, pull="missing")
    assert len(registry.asked) == asked
    docker.run_container(app, pull="always")
    assert len(registry.asked) > asked
    with pytest.raises(UsageError, match="pull must be missing, always or never, got 'mising'"):
        docker.run(app, pull="mising")


def test_a_build_fetches_as_it_is_told(docker, app, registry, tag):
    text = f"FROM {app}\nLABEL a=b\n"
    with pytest.raises(OptionRefused, match=r"line 1: FROM .*\nneeds the image"):
        docker.build_image(None, tag, text=text)
    with pytest.raises(OptionRefused, match="'pull' is refused as 'always'"):
        docker.build_image(None, tag, text=text, pull="always")
    with pytest.raises(NotFoundError, match="line 1: FROM"):
        docker.build_image(None, tag, text=text, policy="network", pull="never")
    docker.build_image(None, tag, text=text, policy="network")
    asked = len(registry.asked)
    docker.build_image(None, tag, text=text, policy="network")
    docker.build_image(None, tag, text=text)  # it is here now
    assert len(registry.asked) == asked
    docker.build_image(None, tag, text=text, policy="network", pull="always")
    assert len(registry.asked) > asked


def test_what_cannot_be_fetched_is_said(docker, app, make_docker):
    nosuch = app.replace("app:1", "nosuch:1")
    with pytest.raises(NotFoundError, match="the registry has no image") as caught:
        docker.pull(nosuch)
    assert "docker login" in caught.value.hint
    with pytest.raises(UnavailableError, match=r"was not fetched: .*refused") as caught:
        docker.pull("127.0.0.1:1/app")
    assert "127.0.0.1:1" in caught.value.hint
    with pytest.raises(UsageError, match="is the id of an image"):
        docker.pull("sha256:" + "0" * 64)
    with pytest.raises(UsageError, match="is not the name of an image"):
        docker.pull("--all")
    with pytest.raises(UsageError, match="timeout must be greater than 0 s"):
        docker.pull("a", timeout=0)
    with pytest.raises(UsageError, match="timeout must be greater than 0 s"):
        docker.build_image(None, "a", text="FROM a", timeout=0)
    alone = make_docker(policies=[POLICIES["isolated"]])
    for refused in (lambda: alone.pull(app), lambda: alone.run(app, pull="missing")):
        with pytest.raises(OptionRefused, match="'pull' is refused"):
            refused()


WRONG = [
    ("text", 1),
    ("text", "FROM a\0"),
    ("dockerfile", "\0"),
    ("dockerfile", "x" * 10_000),
    ("target", "\udcff"),
    ("args", ["A"]),
    ("args", {"A": None}),
    ("args", {1: "b"}),
    ("secrets", 7),
    ("secrets", {"a": 1}),
    ("timeout", True),
    ("pull", 1),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_an_argument_that_is_none_is_refused_by_its_name(docker, tmp_path, name, value):
    given = {"context": tmp_path, "text": None if name == "dockerfile" else "FROM scratch\n"}
    said = "there is no xxx|dockerfile must" if name == "dockerfile" else name
    with pytest.raises((UsageError, NotFoundError), match=said):
        docker.build_image(**{**given, "tag": "agentnb-test-no", name: value})


@pytest.mark.parametrize("text", ["ARG A=1\n", "RUN x\n", "# nothing\n", "ONBUILD FROM a\n"])
def test_a_dockerfile_without_a_first_image_is_said_before_the_build(docker, text):
    with pytest.raises(BuildFailed, match="the Dockerfile has no FROM"):
        docker.build_image(None, "app:1", text=text)

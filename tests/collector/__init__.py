# SPDX-License-Identifier: Apache-2.0
"""Incidents sent to the real thing: an OpenTelemetry Collector, an Alertmanager."""

# SPDX-License-Identifier: Apache-2.0
"""The images in a real engine: what they contain, what they do, and docker-compose.yml.

The engine is one of the tests' own, with everything below one folder, or the one that the
environment names (see tests/support/runtimes/engines.py). Where debian:trixie-slim is not in it,
debootstrap makes it.
"""

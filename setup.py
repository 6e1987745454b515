# SPDX-License-Identifier: Apache-2.0
"""Glue: setuptools has build.py make the object and the extensions."""

from setuptools import setup

setup(
    cffi_modules=[
        "build.py:wire_ffi",
        "build.py:libbpf_ffi",
        "build.py:privileges_ffi",
        "build.py:inotify_ffi",
        "build.py:crypt_ffi",
    ],
    # cffi's extensions keep to the stable ABI: one wheel for this Python and every later one.
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)

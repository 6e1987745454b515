# SPDX-License-Identifier: Apache-2.0
"""Names functions: takes a build id and an offset into that file, gives its name and line.

files.py finds the file, or the debug file that was split off it; functions.py reads it.
"""

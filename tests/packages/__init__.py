# SPDX-License-Identifier: Apache-2.0
"""The .deb and the .rpm in fresh roots of Debian, which debootstrap makes and the cache keeps."""

# SPDX-License-Identifier: Apache-2.0
"""What it costs compared with what people would use instead, as ratios within one run."""

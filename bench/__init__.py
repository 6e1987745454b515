# SPDX-License-Identifier: Apache-2.0
"""What it costs, beside what people would use instead, as ratios within one run."""

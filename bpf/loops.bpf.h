/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef LOOPS_BPF_H
#define LOOPS_BPF_H

/*
 * Before a loop of calls, where such loops nest. To check the stack a kernel goes down every
 * path of calls, once for each call in the program's text: unrolled, the walk over the node's
 * cgroups has nine million instructions on them.
 */
#define KEEP_LOOP _Pragma("clang loop unroll(disable)")

#endif /* LOOPS_BPF_H */

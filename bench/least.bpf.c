/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a program can do to tell of a kill: sends 40 bytes and wakes the
 * reader. bench/least.py holds ours against it.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define RECORD_BYTES 40

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

SEC("raw_tp/mark_victim")
int least(void *context)
{
	char *record = bpf_ringbuf_reserve(&ring, RECORD_BYTES, 0);

	if (!record)
		return 0;
	__builtin_memset(record, 0, RECORD_BYTES);
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	return 0;
}

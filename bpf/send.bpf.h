/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Numbers each record and writes it into the ring buffer. */
#ifndef SEND_BPF_H
#define SEND_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "maps.bpf.h"
#include "crowd.bpf.h"

static __always_inline void fill_header(struct oomkill_header *to, struct oomkill_counters *c,
					u8 kind, u32 size)
{
	to->sequence = ++c->records;
	to->incident = c->incidents;
	to->boot_ns = bpf_ktime_get_boot_ns();
	to->size = size;
	to->layout = OOMKILL_LAYOUT;
	to->kind = kind;
	to->hook = config.hook;
}

/*
 * Every record wakes the reader: it may keep unread records of an unfinished
 * incident, and the default wakes it only when it has read everything.
 */
static __always_inline void send(struct oomkill_counters *c, void *record, u64 size)
{
	if (bpf_ringbuf_output(&ring, record, size, BPF_RB_FORCE_WAKEUP))
		c->lost_ring_full++;
}

static __always_inline bool is_nearly_full(void)
{
	u64 used = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);

	return used > bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE) / 4 * 3;
}

/*
 * A group may have thousands of victims, which the kernel kills faster than
 * anybody reads. The last quarter of the ring is for the kills of others.
 */
static __always_inline void send_victim(struct scratch *s, struct oomkill_counters *c)
{
	bool further = s->record.header.incident == c->incidents;
	u64 size = s->used;

	if (size > OOMKILL_STRINGS_LEN)
		return;
	size += sizeof(s->record) - OOMKILL_STRINGS_LEN;
	fill_header(&s->record.header, c, OOMKILL_VICTIM, size);
	if ((further && is_nearly_full()) || (!further && crowds_out(s->domain_memcg)))
		c->lost_ring_full++;
	else
		send(c, &s->record, size);
	count_crowd();
}

#endif /* SEND_BPF_H */

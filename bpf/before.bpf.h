/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the flight recorder has of an incident's cgroups, sent ahead of its first victim. */
#ifndef BEFORE_BPF_H
#define BEFORE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "maps.bpf.h"
#include "send.bpf.h"

/* A memory cgroup's serial number; 0: there is none. */
static __always_inline u64 memcg_serial(u64 memcg)
{
	return memcg ? BPF_CORE_READ((struct mem_cgroup *)memcg, css.serial_nr) : 0;
}

/* None: all 0, as the helper leaves what it cannot read. */
static __always_inline void copy_recording(struct oomkill_recording *to, u64 serial)
{
	const void *from = bpf_map_lookup_elem(&recordings, &serial);

	bpf_probe_read_kernel(to, sizeof(*to), from);
}

/* A function of its own, so that the object's types have this struct. */
static __noinline int fill_before(struct oomkill_before *to, u64 domain, u64 victim)
{
	to->tick_ns = config.tick_ns;
	copy_recording(&to->domain, memcg_serial(domain));
	copy_recording(&to->victim, victim == domain ? 0 : memcg_serial(victim));
	return 0;
}

/*
 * Copied from map to ring by the kernel's own memcpy: less than a microsecond. It wakes
 * nobody, as the victim's record follows; where there is no room for it, the victim's
 * goes without.
 */
__noinline int send_before(u64 domain, u64 victim)
{
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();
	struct oomkill_before *to;

	if (!s || !c || !config.tick_ns || s->before_sent)
		return 0;
	s->before_sent = true;
	to = bpf_ringbuf_reserve(&ring, sizeof(*to), 0);
	if (!to)
		return 0;
	fill_before(to, domain, victim);
	/* Last, as its time must not be before the tick that was copied. */
	fill_header(&to->header, c, OOMKILL_BEFORE, sizeof(*to));
	bpf_ringbuf_submit(to, BPF_RB_NO_WAKEUP);
	return 0;
}

#endif /* BEFORE_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the flight recorder has of an incident's cgroups, and how short of memory they
 * were: sent ahead of its first victim.
 */
#ifndef BEFORE_BPF_H
#define BEFORE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"
#include "send.bpf.h"

/* A memory cgroup's serial number; 0: there is none. */
static __always_inline u64 memcg_serial(u64 memcg)
{
	return memcg ? BPF_CORE_READ((struct mem_cgroup *)memcg, css.serial_nr) : 0;
}

#define COPIES 3

/*
 * None: all 0, as the helper leaves what it cannot read. What the timer writes at the
 * same time is copied again; what is another cgroup's by now is left out.
 */
static __always_inline void copy_recording(struct oomkill_recording *to, u64 memcg)
{
	u64 serial = memcg_serial(memcg);
	struct oomkill_recording *from = bpf_map_lookup_elem(&recordings, &serial);
	u32 last, flags;
	int i;

	for (i = 0; i < COPIES; i++) {
		bpf_probe_read_kernel(to, sizeof(*to), from);
		if (!from)
			return;
		barrier();
		last = *(volatile u32 *)&from->last;
		flags = *(volatile u32 *)&from->flags;
		if (to->last == last && !(flags & OOMKILL_RECORDING_TORN)) {
			to->flags = flags; /* the mark may have been taken off meanwhile */
			break;
		}
		to->flags |= OOMKILL_RECORDING_TORN;
	}
	if (to->id != memcg_id((struct mem_cgroup *)memcg))
		to->id = 0;
}

/* A function of its own, so that the object's types have this struct. */
static __noinline int fill_before(struct oomkill_before *to, u64 domain, u64 victim)
{
	to->tick_ns = config.tick_ns;
	copy_recording(&to->domain, domain);
	copy_recording(&to->victim, victim == domain ? 0 : victim);
	return 0;
}

static __always_inline void no_refaults(struct scratch *s)
{
	__builtin_memset(s->refaults, 0xff, sizeof(s->refaults));
}

static __always_inline void copy_reclaim(struct oomkill_reclaim *to, u64 serial)
{
	const void *from = bpf_map_lookup_elem(&reclaims, &serial);

	bpf_probe_read_kernel(to, sizeof(*to), from);
}

/* The same for its struct. */
static __noinline int fill_shortage(struct oomkill_shortage *to, u64 domain, u64 victim)
{
	struct scratch *s = get_scratch();

	if (!s)
		return 0;
	copy_reclaim(&to->domain, memcg_serial(domain));
	copy_reclaim(&to->victim, victim == domain ? 0 : memcg_serial(victim));
	to->domain_refaults = s->refaults[0];
	to->victim_refaults = s->refaults[1];
	return 0;
}

__noinline int send_shortage(u64 domain, u64 victim)
{
	struct oomkill_counters *c = get_counters();
	struct oomkill_shortage *to;

	if (!c)
		return 0;
	to = bpf_ringbuf_reserve(&ring, sizeof(*to), 0);
	if (!to)
		return 0;
	fill_header(&to->header, c, OOMKILL_SHORTAGE, sizeof(*to));
	fill_shortage(to, domain, victim);
	bpf_ringbuf_submit(to, BPF_RB_NO_WAKEUP);
	return 0;
}

/*
 * Copied from map to ring by the kernel's own memcpy: less than a microsecond. It wakes
 * nobody, as the victim's record follows.
 */
__noinline int send_recordings(u64 domain, u64 victim)
{
	struct oomkill_counters *c = get_counters();
	struct oomkill_before *to;

	if (!c)
		return 0;
	to = bpf_ringbuf_reserve(&ring, sizeof(*to), 0);
	if (!to)
		return 0;
	fill_before(to, domain, victim);
	/* Last, as its time must not be before the tick that was copied. */
	fill_header(&to->header, c, OOMKILL_BEFORE, sizeof(*to));
	bpf_ringbuf_submit(to, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Where there is little room, the victim's record goes without. */
static __always_inline void send_before(struct scratch *s, u64 victim)
{
	struct oomkill_recorder *r = get_recorder();

	if (!config.tick_ns || s->before_sent)
		return;
	s->before_sent = true;
	if (is_nearly_full())
		return;
	send_shortage(s->domain_memcg, victim);
	if (r && r->goes) /* the kernel has not refused the recorder */
		send_recordings(s->domain_memcg, victim);
}

#endif /* BEFORE_BPF_H */

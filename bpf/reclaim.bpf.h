/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long a cgroup has been short of memory: the kernel's passes of reclaim in it.
 *
 * A task that wants memory in a full cgroup first has to free some: it goes through
 * try_to_free_mem_cgroup_pages(), from one of these tracepoints to the other. Up to
 * v6.18 they do not say which cgroup that is for; then it is the lowest full one of
 * those that the task is charged to, as try_charge_memcg() finds it.
 */
#ifndef RECLAIM_BPF_H
#define RECLAIM_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"

#define CHARGED_LEVELS 16
#define FULL 1ULL /* an address of the kernel's is aligned, and has room for that */

/* A task between the two tracepoints, by its thread id. */
struct pass {
	u64 began_ns; /* 0: it is not */
	u64 serial; /* of the cgroup */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, struct pass);
} passes SEC(".maps");

/* On v7.3 the tracepoint has the cgroup as a third argument, and its id among its fields. */
struct trace_event_raw_mm_vmscan_direct_reclaim_begin_template___v73 {
	u64 memcg_id;
} CORE_FLAVOUR;

static __always_inline bool reclaim_has_memcg(void)
{
	return bpf_core_field_exists(
		((struct trace_event_raw_mm_vmscan_direct_reclaim_begin_template___v73 *)0)
			->memcg_id);
}

/* The cgroup above; 0 where this one is the root. With FULL, this one is full. */
__noinline u64 parent_unless_full(u64 memcg_address)
{
	u64 parent = (u64)parent_memcg((struct mem_cgroup *)memcg_address);

	if (parent && memcg_room(memcg_address) <= (s64)config.pages_slack)
		parent |= FULL;
	return parent;
}

/* Of a task's cgroups the lowest that is full; its own where none is; 0: it is in the root. */
__noinline u64 reclaimed_for(u64 own)
{
	u64 memcg = own, parent;
	int level;

	if (!own || !parent_memcg((struct mem_cgroup *)own))
		return 0;
	for (level = 0; level < CHARGED_LEVELS; level++) {
		parent = parent_unless_full(memcg);
		if (parent & FULL)
			return memcg;
		if (!parent)
			break;
		memcg = parent;
	}
	return own;
}

static __always_inline struct oomkill_reclaim *reclaim_of(u64 serial)
{
	struct oomkill_reclaim *found = bpf_map_lookup_elem(&reclaims, &serial), none = {};

	if (found)
		return found;
	bpf_map_update_elem(&reclaims, &serial, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&reclaims, &serial);
}

static __always_inline int on_reclaim_begin(u64 memcg)
{
	struct pass pass = { .began_ns = bpf_ktime_get_boot_ns() }, *known;
	struct oomkill_reclaim *episode;
	u32 tid = current_tid();

	if (!memcg)
		return 0;
	pass.serial = BPF_CORE_READ((struct mem_cgroup *)memcg, css.serial_nr);
	episode = reclaim_of(pass.serial);
	if (!episode)
		return 0;
	if (!episode->first_ns || pass.began_ns > episode->last_ns + OOMKILL_LULL_NS) {
		episode->first_ns = pass.began_ns;
		episode->passes = 0;
		episode->stalled_ns = 0;
	}
	episode->last_ns = pass.began_ns;
	__sync_fetch_and_add(&episode->passes, 1);
	known = bpf_map_lookup_elem(&passes, &tid);
	if (known)
		*known = pass;
	else
		bpf_map_update_elem(&passes, &tid, &pass, BPF_ANY);
	return 0;
}

static __always_inline int on_reclaim_end(void)
{
	u64 now = bpf_ktime_get_boot_ns();
	struct oomkill_reclaim *episode;
	u32 tid = current_tid();
	struct pass *pass;

	pass = bpf_map_lookup_elem(&passes, &tid);
	if (!pass || !pass->began_ns)
		return 0;
	episode = bpf_map_lookup_elem(&reclaims, &pass->serial);
	if (episode) {
		__sync_fetch_and_add(&episode->stalled_ns, now - pass->began_ns);
		episode->last_ns = now;
	}
	pass->began_ns = 0;
	return 0;
}

#endif /* RECLAIM_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Huge pages that a limit has no room for (memory_hugetlb_accounting, v6.7).
 *
 * The OOM killer is not asked for one of hugetlb's: who touches it gets SIGBUS, and the
 * only trace is memory.events' "max", which reclaim alone makes grow as well. So it is
 * told from here, by the signal. The process is mostly gone with it, and its cgroup soon
 * after: the record is sent at once, and the recorder's walk sends that of the end.
 */
#ifndef HUGE_PAGE_BPF_H
#define HUGE_PAGE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "memcg.bpf.h"
#include "stuck.bpf.h"

#define SIGBUS 7
#define BUS_ADRERR 2 /* include/uapi/asm-generic/siginfo.h */
#define SIGINFO_FIRST 2 /* SEND_SIG_NOINFO and SEND_SIG_PRIV are no addresses */
#define PTE_BYTES 8

/* One of the size that a page table of the lowest level maps: 2 MiB of 4 KiB pages. */
static __always_inline u64 huge_page_pages(void)
{
	return config.page_size / PTE_BYTES;
}

/* Itself if it has no room, else the one above it. */
__noinline u64 without_room(u64 memcg_address)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)memcg_address;
	u64 usage = BPF_CORE_READ(memcg, memory.usage.counter);

	if (usage + huge_page_pages() > BPF_CORE_READ(memcg, memory.max))
		return memcg_address;
	return (u64)parent_memcg(memcg);
}

__noinline u64 find_without_room(u64 memcg)
{
	int level;

	for (level = 0; level < LEVELS_AT_A_TIME && memcg; level++) {
		u64 next = without_room(memcg);

		if (next == memcg)
			return memcg;
		memcg = next;
	}
	return 0;
}

__noinline int note_refused(u64 memcg_address)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)memcg_address;
	u64 serial = BPF_CORE_READ(memcg, css.serial_nr), now = bpf_ktime_get_boot_ns();
	u64 key = serial * OOMKILL_STUCK_CAUSES + OOMKILL_STUCK_HUGE_PAGE;
	struct struggle first = { .id = memcg_id(memcg) }, *of;

	of = bpf_map_lookup_elem(&struggles, &key);
	if (!of) {
		bpf_map_update_elem(&struggles, &key, &first, BPF_NOEXIST);
		of = bpf_map_lookup_elem(&struggles, &key);
		if (!of)
			return 0;
	}
	of->seen_ns = now;
	of->last_ns = now;
	if (!of->since_ns)
		of->since_ns = now;
	__sync_fetch_and_add(&of->count, 1);
	if (!of->told)
		tell_stuck(memcg_address, key, OOMKILL_STUCK_BEGAN);
	return 0;
}

/* args: sig, info, task, group, result */
static __always_inline int on_bus_error(struct bpf_raw_tracepoint_args *ctx)
{
	struct kernel_siginfo *info = (void *)ctx->args[1];
	u64 task = bpf_get_current_task(), memcg;

	if ((u32)ctx->args[0] != SIGBUS || ctx->args[2] != task || (u64)info < SIGINFO_FIRST ||
	    BPF_CORE_READ(info, si_code) != BUS_ADRERR)
		return 0;
	memcg = find_without_room((u64)task_memcg((struct task_struct *)task));
	return memcg ? note_refused(memcg) : 0;
}

#endif /* HUGE_PAGE_BPF_H */

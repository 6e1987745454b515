/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a memory cgroup's memory is: what its memory.stat would say if it were
 * brought up to date now.
 *
 * The kernel counts on each CPU for itself and adds up late. A cgroup's number is
 *
 *	state		what was added up, the cgroups below included
 *	+ pending	what those below have handed up since
 *	+ each CPU's state - state_prev: what it has not handed over yet
 *	+ the last two of every cgroup below
 *
 * All of it is read here, so it does not matter whether the kernel has just
 * brought the numbers up to date, which it does at most ten times in 5 seconds.
 * How many cgroups and CPUs are read is bounded; beyond that, and where the
 * CPUs' parts cannot be had, the numbers are marked as approximate.
 */
#ifndef MEMCG_STAT_BPF_H
#define MEMCG_STAT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "core_fixes.bpf.h"
#include "maps.bpf.h"

#define STAT_WORDS 128 /* a power of two, longer than any kernel's array */
#define STAT_AT_A_TIME 9
#define STAT_LAPS 7 /* of cgroups below the one */
#define STAT_READS_MAX 2048 /* cgroups times CPUs */
#define STAT_CLIMB_MAX 16

/* In the order of struct oomkill_stat. */
enum stat_item {
	STAT_ANON,
	STAT_FILE,
	STAT_SHMEM,
	STAT_KERNEL_STACK,
	STAT_PAGETABLES,
	STAT_SLAB_RECLAIMABLE,
	STAT_SLAB_UNRECLAIMABLE,
	STAT_SOCK,
	STAT_KERNEL,
	STAT_ZSWAP,
	STAT_ZSWAPPED,
	STAT_HUGETLB,
	STAT_VMALLOC,
	STAT_PERCPU,
	STAT_SWAPCACHED,
	STAT_LRU, /* of five lists the first; the others are added to it */
	STAT_LRU_ACTIVE_ANON,
	STAT_LRU_INACTIVE_FILE,
	STAT_LRU_ACTIVE_FILE,
	STAT_LRU_UNEVICTABLE, /* locked, or not to be written anywhere */
	/* In the order of struct oomkill_refaults. */
	STAT_REFAULT_ANON,
	STAT_REFAULT_FILE,
	STAT_ITEMS,
};

/* The numbers are the running kernel's: bpf_core_enum_value(). */
enum node_stat_item {
	NR_SLAB_RECLAIMABLE_B,
	NR_SLAB_UNRECLAIMABLE_B,
	NR_ANON_MAPPED,
	NR_FILE_PAGES,
	NR_SHMEM,
	NR_KERNEL_STACK_KB,
	NR_PAGETABLE,
	NR_INACTIVE_ANON,
	NR_ACTIVE_ANON,
	NR_INACTIVE_FILE,
	NR_ACTIVE_FILE,
	NR_UNEVICTABLE,
	NR_SWAPCACHE,
	NR_HUGETLB,
	WORKINGSET_REFAULT_ANON,
	WORKINGSET_REFAULT_FILE,
	NR_VMALLOC, /* what was MEMCG_VMALLOC, on v7.3 */
	/* counted for nodes only */
	NR_ISOLATED_ANON,
	NR_ISOLATED_FILE,
	WORKINGSET_NODES,
	NR_WRITEBACK_TEMP,
	NR_SHMEM_PMDMAPPED,
	NR_FILE_PMDMAPPED,
	NR_VMSCAN_WRITE,
	NR_VMSCAN_IMMEDIATE,
	NR_DIRTIED,
	NR_WRITTEN,
	NR_THROTTLED_WRITTEN,
	NR_KERNEL_MISC_RECLAIMABLE,
	NR_FOLL_PIN_ACQUIRED,
	NR_FOLL_PIN_RELEASED,
	NR_IOMMU_PAGES,
	PGPROMOTE_CANDIDATE,
	PGPROMOTE_CANDIDATE_NRL,
	NR_BALLOON_PAGES,
	NR_KERNEL_FILE_PAGES,
	NR_GPU_ACTIVE,
	NR_GPU_RECLAIM,
};

enum memcg_stat_item {
	MEMCG_SOCK,
	MEMCG_PERCPU_B,
	MEMCG_VMALLOC,
	MEMCG_KMEM,
	MEMCG_ZSWAP_B,
	MEMCG_ZSWAPPED,
	MEMCG_NR_STAT,
};

enum bpf_func_id {
	BPF_FUNC_map_lookup_percpu_elem,
};

/*
 * memcg->vmstats was an array of atomics, became a struct in 2d146aa3aa84 ("mm:
 * memcontrol: switch to rstat"), v5.13, and a pointer to it in 410f8e82689e
 * ("memcg: extract memcg_vmstats from struct mem_cgroup"), v6.1.
 */
struct memcg_vmstats {
	long state[1];
	long state_pending[1];
} CORE_FLAVOUR;

struct memcg_vmstats_percpu {
	long state[1];
	long state_prev[1];
} CORE_FLAVOUR;

struct mem_cgroup___v510 {
	atomic_long_t vmstats[1];
} CORE_FLAVOUR;

struct mem_cgroup___v513 {
	struct memcg_vmstats vmstats;
} CORE_FLAVOUR;

struct mem_cgroup___v61 {
	struct memcg_vmstats *vmstats;
	struct memcg_vmstats_percpu *vmstats_percpu;
} CORE_FLAVOUR;

struct stat_sums {
	s64 sums[STAT_ITEMS];
	u32 slots[STAT_ITEMS]; /* where in an array of the kernel's each item lies */
	u32 approximate;
	s64 words[STAT_WORDS]; /* one array of the kernel's, as it was read */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct stat_sums);
} stat_sums SEC(".maps");

static __always_inline struct stat_sums *get_stat_sums(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&stat_sums, &key);
}

/*
 * Since ff48c71c26aa ("memcg: reduce memory for the lruvec and memcg stats"),
 * v6.10, the arrays leave out what is counted for nodes only, and a table that
 * BPF cannot read everywhere says where the others moved: one closer to the
 * start for each that is left out before them.
 */
#define LEFT_OUT(name, below)                                                                      \
	(bpf_core_enum_value_exists(enum node_stat_item, name)                                     \
		 ? ((u64)bpf_core_enum_value(enum node_stat_item, name) - (below)) >> 63           \
		 : 0)

__noinline u64 left_out(u64 below)
{
	return LEFT_OUT(NR_ISOLATED_ANON, below) + LEFT_OUT(NR_ISOLATED_FILE, below) +
	       LEFT_OUT(WORKINGSET_NODES, below) + LEFT_OUT(NR_WRITEBACK_TEMP, below) +
	       LEFT_OUT(NR_SHMEM_PMDMAPPED, below) + LEFT_OUT(NR_FILE_PMDMAPPED, below) +
	       LEFT_OUT(NR_VMSCAN_IMMEDIATE, below) + LEFT_OUT(NR_DIRTIED, below) +
	       LEFT_OUT(NR_WRITTEN, below) + LEFT_OUT(NR_THROTTLED_WRITTEN, below) +
	       LEFT_OUT(NR_KERNEL_MISC_RECLAIMABLE, below) + LEFT_OUT(NR_FOLL_PIN_ACQUIRED, below) +
	       LEFT_OUT(NR_FOLL_PIN_RELEASED, below) + LEFT_OUT(NR_IOMMU_PAGES, below) +
	       LEFT_OUT(PGPROMOTE_CANDIDATE, below) + LEFT_OUT(PGPROMOTE_CANDIDATE_NRL, below) +
	       LEFT_OUT(NR_BALLOON_PAGES, below) + LEFT_OUT(NR_KERNEL_FILE_PAGES, below) +
	       LEFT_OUT(NR_GPU_ACTIVE, below) + LEFT_OUT(NR_GPU_RECLAIM, below);
}

static __always_inline u32 stat_array_bytes(void)
{
	if (bpf_core_field_exists(((struct mem_cgroup___v510 *)0)->vmstats))
		return bpf_core_field_size(((struct mem_cgroup___v510 *)0)->vmstats);
	return bpf_core_field_size(((struct memcg_vmstats *)0)->state);
}

#define NO_SLOT 0xffffffff

/* An item's place in the kernel's arrays; NO_SLOT where the arrays are not understood. */
__noinline u32 stat_slot(u64 item)
{
	u64 length = stat_array_bytes() / sizeof(long);
	u64 all = bpf_core_enum_value(enum memcg_stat_item, MEMCG_NR_STAT);

	if (length >= STAT_WORDS || item >= all)
		return NO_SLOT;
	if (length == all)
		return item;
	if (length == all - left_out(all))
		return item - left_out(item);
	/* Counted for cgroups as well since 7.3 */
	if (length == all - left_out(all) - LEFT_OUT(NR_VMSCAN_WRITE, all))
		return item - left_out(item) - LEFT_OUT(NR_VMSCAN_WRITE, item);
	return NO_SLOT;
}

#define SLOT(type, name)                                                                           \
	(bpf_core_enum_value_exists(enum type, name)                                               \
		 ? stat_slot(bpf_core_enum_value(enum type, name))                                 \
		 : NO_SLOT)

static __always_inline void find_slots(u32 slots[STAT_ITEMS])
{
	slots[STAT_ANON] = SLOT(node_stat_item, NR_ANON_MAPPED);
	slots[STAT_FILE] = SLOT(node_stat_item, NR_FILE_PAGES);
	slots[STAT_SHMEM] = SLOT(node_stat_item, NR_SHMEM);
	slots[STAT_KERNEL_STACK] = SLOT(node_stat_item, NR_KERNEL_STACK_KB);
	slots[STAT_PAGETABLES] = SLOT(node_stat_item, NR_PAGETABLE);
	slots[STAT_SLAB_RECLAIMABLE] = SLOT(node_stat_item, NR_SLAB_RECLAIMABLE_B);
	slots[STAT_SLAB_UNRECLAIMABLE] = SLOT(node_stat_item, NR_SLAB_UNRECLAIMABLE_B);
	slots[STAT_SOCK] = SLOT(memcg_stat_item, MEMCG_SOCK);
	slots[STAT_KERNEL] = SLOT(memcg_stat_item, MEMCG_KMEM);
	slots[STAT_ZSWAP] = SLOT(memcg_stat_item, MEMCG_ZSWAP_B);
	slots[STAT_ZSWAPPED] = SLOT(memcg_stat_item, MEMCG_ZSWAPPED);
	slots[STAT_HUGETLB] = SLOT(node_stat_item, NR_HUGETLB);
	slots[STAT_VMALLOC] = bpf_core_enum_value_exists(enum memcg_stat_item, MEMCG_VMALLOC)
				      ? SLOT(memcg_stat_item, MEMCG_VMALLOC)
				      : SLOT(node_stat_item, NR_VMALLOC);
	slots[STAT_PERCPU] = SLOT(memcg_stat_item, MEMCG_PERCPU_B);
	slots[STAT_SWAPCACHED] = SLOT(node_stat_item, NR_SWAPCACHE);
	slots[STAT_LRU] = SLOT(node_stat_item, NR_INACTIVE_ANON);
	slots[STAT_LRU_ACTIVE_ANON] = SLOT(node_stat_item, NR_ACTIVE_ANON);
	slots[STAT_LRU_INACTIVE_FILE] = SLOT(node_stat_item, NR_INACTIVE_FILE);
	slots[STAT_LRU_ACTIVE_FILE] = SLOT(node_stat_item, NR_ACTIVE_FILE);
	slots[STAT_LRU_UNEVICTABLE] = SLOT(node_stat_item, NR_UNEVICTABLE);
	slots[STAT_REFAULT_ANON] = SLOT(node_stat_item, WORKINGSET_REFAULT_ANON);
	slots[STAT_REFAULT_FILE] = SLOT(node_stat_item, WORKINGSET_REFAULT_FILE);
}

/*
 * Adds one array of the kernel's to the sums, times 1, -1 or 0. Returns a number
 * that changes when the array does.
 */
__noinline u64 add_array(u64 array, s64 times)
{
	struct stat_sums *s = get_stat_sums();
	u64 seen = 0;
	int i;

	if (!s || stat_array_bytes() > sizeof(s->words) ||
	    bpf_probe_read_kernel(s->words, stat_array_bytes(), (void *)array))
		return 0;
	for (i = 0; i < STAT_ITEMS; i++) {
		s64 word = s->words[s->slots[i] & (STAT_WORDS - 1)];

		s->sums[i] += word * times;
		seen = (seen ^ word) * 0x9e3779b97f4a7c15;
	}
	return seen;
}

static __always_inline u64 vmstats_address(struct mem_cgroup *memcg)
{
	struct mem_cgroup___v513 *v513 = (void *)memcg;

	if (bpf_core_field_exists(v513->vmstats))
		return (u64)memcg + bpf_core_field_offset(v513->vmstats);
	return (u64)BPF_CORE_READ((struct mem_cgroup___v61 *)memcg, vmstats);
}

static __always_inline u64 add_state(struct mem_cgroup *memcg, s64 times)
{
	u64 vmstats = vmstats_address(memcg);

	return add_array(vmstats + bpf_core_field_offset(struct memcg_vmstats, state), times);
}

/* An older verifier looks through these even where nobody calls them. */
__noinline u64 add_pending(u64 memcg, s64 times)
{
	u64 vmstats;

	if (!bpf_core_type_exists(struct memcg_vmstats))
		return 0;
	vmstats = vmstats_address((struct mem_cgroup *)memcg);
	return add_array(vmstats + bpf_core_field_offset(struct memcg_vmstats, state_pending),
			 times);
}

/* As with percpu_offset(): the helper came with v5.19. */
static __always_inline bool cpus_can_be_read(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_map_lookup_percpu_elem) &&
	       bpf_core_field_exists(((struct memcg_vmstats_percpu *)0)->state_prev);
}

/* first: where the first CPU's are. */
__noinline int add_cpu(u64 first, u64 cpu)
{
	u64 offset;

	if (!cpus_can_be_read() || !percpu_offset(cpu, &offset))
		return 0;
	offset += first;
	add_array(offset + bpf_core_field_offset(struct memcg_vmstats_percpu, state), 1);
	add_array(offset + bpf_core_field_offset(struct memcg_vmstats_percpu, state_prev), -1);
	return 0;
}

__noinline int add_cpus(u64 memcg)
{
	u64 first;
	u32 cpu;

	if (!cpus_can_be_read())
		return 0;
	first = (u64)BPF_CORE_READ((struct mem_cgroup___v61 *)memcg, vmstats_percpu);
	for (cpu = 0; cpu < OOMKILL_CPUS_MAX && cpu < config.cpus; cpu++)
		add_cpu(first, cpu);
	return 0;
}

/* css_next_descendant_pre(): the next below top, 0 at the end, LOST after too long a climb. */
#define LOST 1ULL

#define UP 1ULL

/* The next sibling; with UP, the parent of the last one; 0: it is the top. */
__noinline u64 next_beside(u64 css, u64 top)
{
	struct cgroup_subsys_state *at = (struct cgroup_subsys_state *)css;
	u64 parent = (u64)BPF_CORE_READ(at, parent), next;

	if (css == top || !parent)
		return 0;
	next = (u64)BPF_CORE_READ(at, sibling.next);
	if (next != parent + bpf_core_field_offset(at->children))
		return next - bpf_core_field_offset(at->sibling);
	return parent | UP;
}

__noinline u64 next_below(u64 css, u64 top)
{
	struct cgroup_subsys_state *at = (struct cgroup_subsys_state *)css;
	u64 next = (u64)BPF_CORE_READ(at, children.next), from = css;
	int level;

	if (next != css + bpf_core_field_offset(at->children))
		return next - bpf_core_field_offset(at->sibling);
	for (level = 0; level < STAT_CLIMB_MAX; level++) {
		next = next_beside(from, top);
		if (!(next & UP))
			return next;
		from = next & ~UP;
	}
	return LOST;
}

/*
 * Adds some of those below, from the one behind the one given, and returns the last;
 * 0: there are no more, LOST: there may be, and they are left out. done: how many were
 * added before.
 */
__noinline u64 add_below(u64 css, u64 top, u64 done)
{
	u64 at = css;
	u32 i;

	for (i = 1; i <= STAT_AT_A_TIME; i++) {
		at = next_below(at, top);
		if (at == 0 || at == LOST || (done + i) * config.cpus > STAT_READS_MAX)
			return at ? LOST : 0;
		add_pending(at, 1);
		add_cpus(at);
	}
	return at;
}

static __always_inline void sum_below(u64 top, struct stat_sums *s)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)top;
	u64 seen, seen_pending, at = top;
	u32 i;

	seen = add_state(memcg, 1);
	seen_pending = add_pending(top, 1);
	if (!cpus_can_be_read())
		return;
	add_cpus(top);
	for (i = 0; i < STAT_LAPS && at > LOST; i++)
		at = add_below(at, top, i * STAT_AT_A_TIME);
	/* What was handed up while this went on was counted twice, or not at all. */
	if (at == 0 && add_state(memcg, 0) == seen && add_pending(top, 0) == seen_pending)
		s->approximate = 0;
}

/* Fills the sums of a cgroup; 1 if they can be had. The css is a memcg's first member. */
__noinline int sum_stat(u64 memcg)
{
	struct mem_cgroup___v510 *v510 = (void *)memcg;
	struct stat_sums *s = get_stat_sums();

	if (!s)
		return 0;
	find_slots(s->slots);
	__builtin_memset(s->sums, 0, sizeof(s->sums));
	s->approximate = 1;
	if (s->slots[STAT_ANON] == NO_SLOT)
		return 0;
	if (bpf_core_field_exists(v510->vmstats)) /* each CPU keeps up to 32 pages to itself */
		add_array(memcg + bpf_core_field_offset(v510->vmstats), 1);
	else
		sum_below(memcg, s);
	return 1;
}

#endif /* MEMCG_STAT_BPF_H */

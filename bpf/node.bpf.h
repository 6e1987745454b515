/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The node's memory where no cgroup's limit was the cause: what each memory node and
 * each of its zones held, by the counters that the kernel's own Mem-Info shows.
 *
 * No symbol is needed. The zones are on the list that the allocation failed on or, where
 * the hook has no oom_control, on that of a memory node that the root cgroup has pages
 * on; any node's list has the zones of all of them.
 */
#ifndef NODE_BPF_H
#define NODE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "core_fixes.bpf.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"
#include "send.bpf.h"

#define NODE_WORDS 128 /* a power of two, longer than any kernel's array */
#define SHARE_DEPTH 64 /* a power of two */
#define NODE_CPU_READS_MAX 1024 /* CPUs times zones */

struct node_scratch {
	struct oomkill_node record; /* first: a reader may map it */
	s64 words[NODE_WORDS]; /* one array of the kernel's, as it was read */
	s8 diffs[NODE_WORDS]; /* what a CPU has not handed over */
	u64 order; /* of the allocation */
	u64 highest; /* enum zone_type: the last zone that it may take memory from */
	u64 zones; /* seen */
	/* The walk: shares.bpf.h */
	u64 path[SHARE_DEPTH]; /* css */
	s64 own[SHARE_DEPTH];
	u64 removed[SHARE_DEPTH]; /* usage of removed cgroups right below */
	u64 usage[SHARE_DEPTH];
	u32 living[SHARE_DEPTH];
	u32 depth;
	u32 returning; /* from below, else from above */
	u32 least_at; /* the smallest of those that are kept, once there is no room */
	u64 least_pages;
	u64 kept[OOMKILL_SHARES]; /* css */
};

/* Mapped by who runs node_read by hand. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct node_scratch);
} node_memory SEC(".maps");

static __always_inline struct node_scratch *get_node(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&node_memory, &key);
}

/* Beside those in memcg_stat.bpf.h */
enum node_stat_item___more {
	NR_SECONDARY_PAGETABLE,
};

/* The numbers are the running kernel's: bpf_core_enum_value(). */
enum zone_type {
	ZONE_DMA,
	ZONE_DMA32,
	ZONE_NORMAL,
	ZONE_MOVABLE,
};

enum zone_stat_item {
	NR_FREE_PAGES,
	NR_ZSPAGES,
	NR_FREE_CMA_PAGES,
};

/*
 * Page tables were counted for zones until f0c0c115fb81 ("mm: memcontrol: account
 * pagetables per node"), v5.11.
 */
enum zone_stat_item___v510 {
	NR_PAGETABLE___v510,
};

/*
 * A zone's per-CPU lists were in its pageset, with its counters, until 28f836b6777b
 * ("mm/page_alloc: split per cpu page lists and zone stats"), v5.14. No kernel of before
 * lets us read another CPU's: see percpu_offset().
 */
struct per_cpu_pages {
	int count;
} CORE_FLAVOUR;

struct per_cpu_zonestat {
	s8 vm_stat_diff[1];
} CORE_FLAVOUR;

struct zone___v514 {
	struct per_cpu_pages *per_cpu_pageset;
	struct per_cpu_zonestat *per_cpu_zonestats;
} CORE_FLAVOUR;

/* A word of the array that was read last; unknown where this kernel does not count it. */
#define NODE_WORD(n, type, item)                                                                   \
	(bpf_core_enum_value_exists(enum type, item)                                               \
		 ? not_negative(                                                                   \
			   (n)->words[bpf_core_enum_value(enum type, item) & (NODE_WORDS - 1)])    \
		 : OOMKILL_UNKNOWN)

#define DIFFS_AT_A_TIME 16

/* Adds what one CPU has not handed over, to some words of the array. */
__noinline int add_some_diffs(u64 from)
{
	struct node_scratch *n = get_node();
	u32 i;

	if (!n || from > NODE_WORDS - DIFFS_AT_A_TIME)
		return 0;
	for (i = 0; i < DIFFS_AT_A_TIME; i++)
		n->words[from + i] += n->diffs[from + i];
	return 0;
}

static __always_inline bool node_cpus_can_be_read(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_map_lookup_percpu_elem) &&
	       bpf_core_type_exists(struct per_cpu_zonestat);
}

/* first: where the first CPU's are, and how many. */
__noinline int add_cpus_diffs(u64 first, u64 cpu, u64 size)
{
	struct node_scratch *n = get_node();
	u64 offset;
	u32 i;

	if (!n || !node_cpus_can_be_read() || !percpu_offset(cpu, &offset))
		return 0;
	barrier_var(size);
	if (size == 0 || size > NODE_WORDS)
		return 0;
	bpf_probe_read_kernel(n->diffs, sizeof(n->diffs), NULL); /* zeroes it */
	if (bpf_probe_read_kernel(n->diffs, size, (void *)(offset + first)))
		return 0;
	for (i = 0; i < NODE_WORDS; i += DIFFS_AT_A_TIME)
		if (i < size)
			add_some_diffs(i);
	return 0;
}

__noinline int add_all_diffs(u64 first, u64 size)
{
	u32 cpu;

	for (cpu = 0; cpu < OOMKILL_CPUS_MAX && cpu < config.cpus; cpu++)
		add_cpus_diffs(first, cpu, size);
	return 0;
}

/* Whether there is time for what the CPUs keep, of one more zone. */
static __always_inline bool read_the_cpus(struct node_scratch *n)
{
	if (node_cpus_can_be_read() && n->zones * config.cpus <= NODE_CPU_READS_MAX)
		return true;
	n->record.flags |= OOMKILL_NODE_CPUS_UNREAD;
	return false;
}

/* Reads an array of the kernel's, with 0 behind its end. */
__noinline int read_words(u64 address, u64 size)
{
	struct node_scratch *n = get_node();

	if (!n)
		return 0;
	bpf_probe_read_kernel(n->words, sizeof(n->words), NULL); /* zeroes it */
	barrier_var(size); /* for the verifier: this very register is checked */
	return size <= sizeof(n->words) && !bpf_probe_read_kernel(n->words, size, (void *)address);
}

/* The counters of a memory node, into its place. */
__noinline int fill_numa_node(u64 address, u64 at)
{
	struct pglist_data *pgdat = (struct pglist_data *)address;
	struct node_scratch *n = get_node();
	struct oomkill_numa_node *to;
	u64 diffs;

	if (!n || at >= OOMKILL_NODES)
		return 0;
	to = &n->record.nodes[at];
	__builtin_memset(to, 0xff, __builtin_offsetof(struct oomkill_numa_node, id));
	to->id = BPF_CORE_READ(pgdat, node_id);
	to->zones_used = 0;
	if (!read_words(address + bpf_core_field_offset(pgdat->vm_stat),
			bpf_core_field_size(pgdat->vm_stat)))
		return 0;
	if (read_the_cpus(n)) {
		diffs = (u64)BPF_CORE_READ(pgdat, per_cpu_nodestats) +
			bpf_core_field_offset(struct per_cpu_nodestat, vm_node_stat_diff);
		add_all_diffs(diffs, bpf_core_field_size(
					     ((struct per_cpu_nodestat *)0)->vm_node_stat_diff));
	}
	to->anon_pages = NODE_WORD(n, node_stat_item, NR_ANON_MAPPED);
	to->file_pages = NODE_WORD(n, node_stat_item, NR_FILE_PAGES);
	to->shmem_pages = NODE_WORD(n, node_stat_item, NR_SHMEM);
	to->swapcached_pages = NODE_WORD(n, node_stat_item, NR_SWAPCACHE);
	to->lru_pages = NODE_WORD(n, node_stat_item, NR_INACTIVE_ANON) +
			NODE_WORD(n, node_stat_item, NR_ACTIVE_ANON) +
			NODE_WORD(n, node_stat_item, NR_INACTIVE_FILE) +
			NODE_WORD(n, node_stat_item, NR_ACTIVE_FILE) +
			NODE_WORD(n, node_stat_item, NR_UNEVICTABLE) +
			NODE_WORD(n, node_stat_item, NR_ISOLATED_ANON) +
			NODE_WORD(n, node_stat_item, NR_ISOLATED_FILE);
	/* Of a whole node the kernel keeps these in pages, whatever they are called. */
	to->slab_reclaimable_pages = NODE_WORD(n, node_stat_item, NR_SLAB_RECLAIMABLE_B);
	to->slab_unreclaimable_pages = NODE_WORD(n, node_stat_item, NR_SLAB_UNRECLAIMABLE_B);
	to->misc_reclaimable_pages = NODE_WORD(n, node_stat_item, NR_KERNEL_MISC_RECLAIMABLE);
	to->kernel_stack_kib = NODE_WORD(n, node_stat_item, NR_KERNEL_STACK_KB);
	to->pagetables_pages = NODE_WORD(n, node_stat_item, NR_PAGETABLE);
	to->secondary_pagetables_pages =
		NODE_WORD(n, node_stat_item___more, NR_SECONDARY_PAGETABLE);
	to->vmalloc_pages = NODE_WORD(n, node_stat_item, NR_VMALLOC);
	to->balloon_pages = NODE_WORD(n, node_stat_item, NR_BALLOON_PAGES);
	if (bpf_core_enum_value_exists(enum node_stat_item, NR_GPU_ACTIVE))
		to->gpu_pages = NODE_WORD(n, node_stat_item, NR_GPU_ACTIVE) +
				NODE_WORD(n, node_stat_item, NR_GPU_RECLAIM);
	return 0;
}

#define NEW_NODE 0x100ULL

/* The place of a memory node in the record; with NEW_NODE, it has not been filled in. */
__noinline u64 numa_node_at(u64 pgdat)
{
	struct node_scratch *n = get_node();
	u32 i, id = BPF_CORE_READ((struct pglist_data *)pgdat, node_id);

	if (!n)
		return OOMKILL_NODES;
	for (i = 0; i < OOMKILL_NODES; i++) {
		if (i >= n->record.nodes_used)
			break;
		if (n->record.nodes[i].id == id)
			return i;
	}
	if (n->record.nodes_used >= OOMKILL_NODES) {
		n->record.flags |= OOMKILL_NODE_NODES_CUT;
		return OOMKILL_NODES;
	}
	return n->record.nodes_used++ | NEW_NODE;
}

/* One CPU's list of free pages of a zone. */
__noinline u64 pcp_count(u64 first, u64 cpu)
{
	struct per_cpu_pages *pages;
	u64 offset;

	if (!node_cpus_can_be_read() || !percpu_offset(cpu, &offset))
		return 0;
	pages = (struct per_cpu_pages *)(offset + first);
	return not_negative(BPF_CORE_READ(pages, count));
}

__noinline u64 pcp_counts(u64 first)
{
	u64 sum = 0;
	u32 cpu;

	for (cpu = 0; cpu < OOMKILL_CPUS_MAX && cpu < config.cpus; cpu++)
		sum += pcp_count(first, cpu);
	return sum;
}

/* Free pages of a zone in pieces of an order; 0 for one that is too small. */
__noinline u64 free_of_order(u64 zone, u64 order, u64 least)
{
	u64 area = zone + bpf_core_field_offset(struct zone, free_area);

	if (order < least || order * bpf_core_type_size(struct free_area) >=
				     bpf_core_field_size(((struct zone *)0)->free_area))
		return 0;
	area += order * bpf_core_type_size(struct free_area);
	return BPF_CORE_READ((struct free_area *)area, nr_free) << (order & 31);
}

#define MOST_ORDERS 16

/* Free pages of a zone in pieces of at least an order. */
__noinline u64 free_fitting(u64 zone, u64 least)
{
	u64 sum = 0;
	u32 order;

	for (order = 0; order < MOST_ORDERS; order++)
		sum += free_of_order(zone, order, least);
	return sum;
}

/* The counters of a zone, into its place. */
__noinline int fill_zone(u64 address, u64 number, u64 node, u64 at)
{
	struct zone *zone = (struct zone *)address;
	struct zone___v514 *v514 = (void *)zone;
	struct node_scratch *n = get_node();
	struct oomkill_zone *to;
	unsigned long marks[3];
	u64 boost;

	if (!n || node >= OOMKILL_NODES || at >= OOMKILL_ZONES)
		return 0;
	to = &n->record.nodes[node].zones[at];
	__builtin_memset(to, 0xff, sizeof(*to));
	bpf_probe_read_kernel_str(to->name, sizeof(to->name), BPF_CORE_READ(zone, name));
	to->managed_pages = BPF_CORE_READ(zone, managed_pages.counter);
	to->highatomic_pages = BPF_CORE_READ(zone, nr_reserved_highatomic);
	boost = BPF_CORE_READ(zone, watermark_boost);
	bpf_probe_read_kernel(marks, sizeof(marks),
			      (void *)(address + bpf_core_field_offset(zone->_watermark)));
	to->min_pages = marks[0] + boost;
	to->low_pages = marks[1] + boost;
	to->high_pages = marks[2] + boost;
	if (n->highest * sizeof(long) < bpf_core_field_size(zone->lowmem_reserve))
		bpf_probe_read_kernel(&to->reserve_pages, sizeof(to->reserve_pages),
				      (void *)(address + n->highest * sizeof(long) +
					       bpf_core_field_offset(zone->lowmem_reserve)));
	to->number = number;
	to->allowed = number <= n->highest;
	to->free_fitting_pages = free_fitting(address, n->order);
	if (!read_words(address + bpf_core_field_offset(zone->vm_stat),
			bpf_core_field_size(zone->vm_stat)))
		return 0;
	if (read_the_cpus(n)) {
		add_all_diffs((u64)BPF_CORE_READ(v514, per_cpu_zonestats) +
				      bpf_core_field_offset(struct per_cpu_zonestat, vm_stat_diff),
			      bpf_core_field_size(((struct per_cpu_zonestat *)0)->vm_stat_diff));
		to->free_pcp_pages = pcp_counts((u64)BPF_CORE_READ(v514, per_cpu_pageset));
	}
	to->free_pages = NODE_WORD(n, zone_stat_item, NR_FREE_PAGES);
	to->free_cma_pages = NODE_WORD(n, zone_stat_item, NR_FREE_CMA_PAGES);
	to->zsmalloc_pages = NODE_WORD(n, zone_stat_item, NR_ZSPAGES);
	to->pagetables_pages = NODE_WORD(n, zone_stat_item___v510, NR_PAGETABLE___v510);
	return 0;
}

/* One entry of a zone list; gives the next, 0 at the end. */
__noinline u64 see_zone(u64 entry)
{
	struct zone *zone = BPF_CORE_READ((struct zoneref *)entry, zone);
	struct node_scratch *n = get_node();
	u64 pgdat, node, at, next = entry + bpf_core_type_size(struct zoneref);

	if (!n || !zone)
		return 0;
	n->zones++;
	pgdat = (u64)BPF_CORE_READ(zone, zone_pgdat);
	node = numa_node_at(pgdat);
	if (node & NEW_NODE) {
		node &= ~NEW_NODE;
		fill_numa_node(pgdat, node);
	}
	barrier_var(node);
	if (node >= OOMKILL_NODES)
		return next;
	at = n->record.nodes[node].zones_used;
	if (at >= OOMKILL_ZONES)
		return next;
	n->record.nodes[node].zones_used = at + 1;
	fill_zone((u64)zone, BPF_CORE_READ((struct zoneref *)entry, zone_idx), node, at);
	return next;
}

/* As many as a memory node may have; gives the next. */
__noinline u64 see_some_zones(u64 entry)
{
	u64 next = entry;
	u32 i;

	for (i = 0; i < OOMKILL_ZONES && next; i++)
		next = see_zone(next);
	return next;
}

/* Of the root's memory on some node, where that node is; 0: it has had none there. */
__noinline u64 pgdat_of(u64 root, u64 node)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)root;
	struct mem_cgroup_per_node *info = NULL;
	u64 slot = (u64)__builtin_preserve_access_index(&memcg->nodeinfo);
	struct pglist_data *pgdat;

	if (bpf_probe_read_kernel(&info, sizeof(info), (void *)(slot + node * sizeof(void *))))
		return 0;
	pgdat = BPF_CORE_READ(info, lruvec.pgdat);
	/* Beyond the last node there is anything: whatever it is, that has another number. */
	return pgdat && BPF_CORE_READ(pgdat, node_id) == node ? (u64)pgdat : 0;
}

/* Any memory node: of the list an allocation failed on, or one that the root has pages on. */
__noinline u64 any_pgdat(u64 zonelist, u64 root)
{
	struct zonelist *list = (struct zonelist *)zonelist;
	u64 entry = zonelist + bpf_core_field_offset(list->_zonerefs), pgdat = 0;
	u32 i;

	if (zonelist)
		pgdat = (u64)BPF_CORE_READ((struct zoneref *)entry, zone, zone_pgdat);
	for (i = 0; i < OOMKILL_NODES; i++)
		if (!pgdat && root)
			pgdat = pgdat_of(root, i);
	return pgdat;
}

/* include/linux/gfp_types.h; the same on every kernel */
#define GFP_DMA 0x1
#define GFP_HIGHMEM 0x2
#define GFP_DMA32 0x4
#define GFP_MOVABLE 0x8

/* gfp_zone(): the last of the zones that an allocation may take memory from. */
static __always_inline u64 highest_zone(u32 gfp)
{
	u32 movable = GFP_HIGHMEM | GFP_MOVABLE;

	if (gfp & GFP_DMA && bpf_core_enum_value_exists(enum zone_type, ZONE_DMA))
		return bpf_core_enum_value(enum zone_type, ZONE_DMA);
	if (gfp & GFP_DMA32 && bpf_core_enum_value_exists(enum zone_type, ZONE_DMA32))
		return bpf_core_enum_value(enum zone_type, ZONE_DMA32);
	if ((gfp & movable) == movable)
		return bpf_core_enum_value(enum zone_type, ZONE_MOVABLE);
	return bpf_core_enum_value(enum zone_type, ZONE_NORMAL);
}

/* Of who asks, or of its memory policy. */
static __always_inline u64 allowed_nodes(struct oom_control *oc)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	nodemask_t *mask = oc ? BPF_CORE_READ(oc, nodemask) : NULL;
	u64 bits = OOMKILL_UNKNOWN, start = (u64)mask;

	if (!mask) {
		if (!bpf_core_field_exists(task->mems_allowed))
			return bits;
		start = (u64)__builtin_preserve_access_index(&task->mems_allowed);
	}
	bpf_probe_read_kernel(&bits, sizeof(bits), (void *)start);
	return bits;
}

#endif /* NODE_BPF_H */

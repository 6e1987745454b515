/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose the node's memory was: one walk over all memory cgroups, and the record of it.
 *
 * A cgroup's usage has what the cgroups below it use. What none of those is charged with
 * is its own; every page that is charged at all is the own of one cgroup, so that the
 * largest, the sum of the others and what removed ones have left add up. The walk is done
 * in one go under the kernel's oom_lock: nothing that is read is freed meanwhile (RCU).
 */
#ifndef SHARES_BPF_H
#define SHARES_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "loops.bpf.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"
#include "memcg_stat.bpf.h"
#include "node.bpf.h"
#include "recorder.bpf.h"
#include "send.bpf.h"

/* A step goes into a cgroup or out of one: 4,096 cgroups. */
#define STEPS_IN_A_LAP 16
#define LAPS 16
#define WALK_LAPS 32

#define NS_PER_MINUTE 60000000000ULL

/* include/uapi/linux/oom.h */
#define OOM_SCORE_ADJ_MIN -1000
#define OOM_SCORE_ADJ_MAX 1000

/* A place on the path; for the verifier, this very register is bounded. */
static __always_inline u32 level(u32 depth)
{
	barrier_var(depth);
	return depth % SHARE_DEPTH;
}

/* The root of the memory cgroups. */
static __always_inline u64 root_of(struct mem_cgroup *memcg)
{
	u64 cgroup = (u64)BPF_CORE_READ(memcg, css.cgroup, root), root = 0;

	cgroup += bpf_core_field_offset(struct cgroup_root, cgrp);
	cgroup += bpf_core_field_offset(struct cgroup, subsys);
	cgroup += bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) * sizeof(void *);
	bpf_probe_read_kernel(&root, sizeof(root), (void *)cgroup);
	return root; /* a memcg's css is its first member */
}

/*
 * Goes into a cgroup; what it uses is no longer its parent's own. A removed one's
 * counter may tell too much: its kernel memory is handed up to its parent, whose
 * counter alone goes down when that is freed (v5.11 and newer, memcg_reparent_objcgs()).
 */
__noinline int enter_cgroup(u64 css, u64 depth)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)css; /* its css is its first member */
	struct node_scratch *n = get_node();
	u64 usage;
	u32 flags;

	if (!n)
		return 0;
	usage = BPF_CORE_READ(memcg, memory.usage.counter);
	flags = BPF_CORE_READ(memcg, css.flags) & (CSS_ONLINE | CSS_DYING);
	depth %= SHARE_DEPTH;
	n->depth = depth;
	n->path[depth] = css;
	n->usage[depth] = usage;
	n->own[depth] = usage;
	n->removed[depth] = 0;
	n->living[depth] = flags == CSS_ONLINE;
	n->returning = flags != CSS_ONLINE; /* nothing living is below it */
	if (!depth)
		return 0;
	depth = (depth - 1) % SHARE_DEPTH;
	if (flags == CSS_ONLINE)
		n->own[depth] -= usage;
	else
		n->removed[depth] += usage;
	return 0;
}

/* Looks at one of those that are kept: is it the smallest so far? */
__noinline int compare_share(u64 i)
{
	struct node_scratch *n = get_node();

	if (!n || i >= OOMKILL_SHARES || n->record.shares[i].own_pages >= n->least_pages)
		return 0;
	n->least_pages = n->record.shares[i].own_pages;
	n->least_at = i;
	return 0;
}

__noinline int find_least(void)
{
	struct node_scratch *n = get_node();
	u32 i;

	if (!n)
		return 0;
	n->least_pages = OOMKILL_UNKNOWN;
	KEEP_LOOP
	for (i = 0; i < OOMKILL_SHARES; i++)
		compare_share(i);
	return 0;
}

/* Keeps a cgroup, in the place of the smallest where there is no room. */
__noinline int keep_share(u64 css, u64 own, u64 usage)
{
	struct node_scratch *n = get_node();
	struct oomkill_share *to;
	u64 at;

	if (!n)
		return 0;
	if (n->record.shares_used < OOMKILL_SHARES) {
		at = n->record.shares_used++;
	} else {
		at = n->least_at;
		if (own <= n->least_pages) {
			n->record.others_pages += own;
			n->record.others++;
			return 0;
		}
		n->record.others_pages += n->least_pages;
		n->record.others++;
	}
	at %= OOMKILL_SHARES;
	n->kept[at] = css;
	to = &n->record.shares[at];
	to->own_pages = own;
	to->usage_pages = usage;
	if (n->record.shares_used == OOMKILL_SHARES)
		find_least();
	return 0;
}

/*
 * Comes out of a cgroup: what is left of its usage is its own, or of removed ones below.
 * Returns how many pages are its own; unknown: it is not to be kept.
 */
__noinline u64 leave_cgroup(u64 depth)
{
	struct node_scratch *n = get_node();
	u64 own, removed;

	if (!n)
		return OOMKILL_UNKNOWN;
	depth %= SHARE_DEPTH;
	if (!n->living[depth]) {
		n->record.gone++;
		return OOMKILL_UNKNOWN;
	}
	own = not_negative(n->own[depth]);
	removed = n->removed[depth];
	if (removed > own || !depth) /* the root itself is charged nothing */
		removed = own;
	n->record.gone_pages += removed;
	return depth ? own - removed : OOMKILL_UNKNOWN;
}

/* One step of the walk; 1: it is at its end. */
__noinline int share_step(void)
{
	struct node_scratch *n = get_node();
	u64 css, node, own;
	u32 depth;

	if (!n)
		return 1;
	depth = n->depth;
	css = n->path[level(depth)];
	if (!n->returning && depth + 1 < SHARE_DEPTH) {
		node = next_node(children_head(css));
		if (node && node != children_head(css)) {
			enter_cgroup(css_of(node), depth + 1);
			return 0;
		}
	}
	own = leave_cgroup(depth);
	if (own != OOMKILL_UNKNOWN)
		keep_share(css, own, n->usage[level(depth)]);
	if (!depth)
		return 1;
	node = next_node(css + bpf_core_field_offset(struct cgroup_subsys_state, sibling));
	if (node && node != children_head(n->path[level(depth - 1)])) {
		enter_cgroup(css_of(node), depth);
		return 0;
	}
	n->depth = depth - 1;
	n->returning = true;
	return 0;
}

__noinline int share_lap(void)
{
	u32 i;

	KEEP_LOOP
	for (i = 0; i < STEPS_IN_A_LAP; i++)
		if (share_step())
			return 1;
	return 0;
}

__noinline int share_laps(void)
{
	u32 i;

	KEEP_LOOP
	for (i = 0; i < LAPS; i++)
		if (share_lap())
			return 1;
	return 0;
}

/* What a cgroup used some time ago, by the flight recorder. */
__noinline u64 usage_ago(u64 serial, u64 ago_ns)
{
	struct oomkill_recording *rec = bpf_map_lookup_elem(&recordings, &serial);
	u64 now, then, ticks, pages;

	if (!rec || !config.tick_ns)
		return OOMKILL_UNKNOWN;
	now = bpf_ktime_get_boot_ns() / config.tick_ns;
	ticks = ago_ns / config.tick_ns;
	then = now - ticks;
	/* It has not been seen for a while, or began to be recorded later. */
	if (then > now || rec->last + OOMKILL_SAMPLES / 4 < now)
		return OOMKILL_UNKNOWN;
	if (then < rec->first)
		return rec->flags & OOMKILL_RECORDING_WHOLE ? 0 : OOMKILL_UNKNOWN;
	if (ticks < OOMKILL_SAMPLES - 1)
		pages = rec->fine[then % OOMKILL_SAMPLES];
	else if (ticks / OOMKILL_MEDIUM_TICKS < OOMKILL_SAMPLES - 1)
		pages = rec->medium[then / OOMKILL_MEDIUM_TICKS % OOMKILL_SAMPLES];
	else if (ticks / OOMKILL_COARSE_TICKS < OOMKILL_SAMPLES - 1)
		pages = rec->coarse[then / OOMKILL_COARSE_TICKS % OOMKILL_SAMPLES];
	else
		pages = OOMKILL_UNKNOWN_U32;
	return pages == OOMKILL_UNKNOWN_U32 ? OOMKILL_UNKNOWN : pages;
}

#define CSETS_LOOKED_AT 4 /* one may be empty for a moment */

/* The first of a css_set's processes; 0: it has none. */
__noinline u64 first_task(u64 cset)
{
	u64 head = cset + bpf_core_field_offset(struct css_set, tasks);
	u64 node = next_node(head);

	return node && node != head ? node - bpf_core_field_offset(struct task_struct, cg_list) : 0;
}

/*
 * Of the process that came first into this very cgroup, as a runtime set it for the
 * whole container. Only the kernel's css_set_lock keeps the lists: whatever changes
 * meanwhile, the numbers that the kernel allows are all that is taken.
 */
__noinline s64 first_oom_score_adj(u64 cgroup)
{
	u64 head = cgroup + bpf_core_field_offset(struct cgroup, cset_links), node = head, task = 0;
	struct cgrp_cset_link *link;
	s64 adj;
	u32 i;

	for (i = 0; i < CSETS_LOOKED_AT && !task; i++) {
		node = next_node(node);
		if (!node || node == head)
			return OOMKILL_UNKNOWN_S32;
		link = (void *)(node - bpf_core_field_offset(struct cgrp_cset_link, cset_link));
		task = first_task((u64)BPF_CORE_READ(link, cset));
	}
	if (!task)
		return OOMKILL_UNKNOWN_S32;
	adj = BPF_CORE_READ((struct task_struct *)task, signal, oom_score_adj);
	return adj >= OOM_SCORE_ADJ_MIN && adj <= OOM_SCORE_ADJ_MAX ? adj : OOMKILL_UNKNOWN_S32;
}

/* Which cgroup one of the kept is. */
__noinline int describe_share(u64 i)
{
	struct node_scratch *n = get_node();
	struct scratch *s = get_scratch();
	struct oomkill_share *to;
	struct mem_cgroup *memcg;
	u64 serial, written;

	if (!n || !s || i >= OOMKILL_SHARES || i >= n->record.shares_used)
		return 0;
	memcg = (struct mem_cgroup *)n->kept[i];
	to = &n->record.shares[i];
	to->id = memcg_id(memcg);
	to->limit_pages = BPF_CORE_READ(memcg, memory.max);
	to->low_pages = BPF_CORE_READ(memcg, memory.low);
	to->min_pages = BPF_CORE_READ(memcg, memory.min);
	serial = BPF_CORE_READ(memcg, css.serial_nr);
	to->minute_ago_pages = usage_ago(serial, NS_PER_MINUTE);
	to->hour_ago_pages = usage_ago(serial, 60 * NS_PER_MINUTE);
	to->flags = memcg_is_v1(memcg) ? OOMKILL_MEMCG_V1 : 0;
	to->oom_score_adj = first_oom_score_adj((u64)BPF_CORE_READ(memcg, css.cgroup));
	to->pad = 0;
	to->path_offset = s->used;
	written = write_path((u64)BPF_CORE_READ(memcg, css.cgroup, kn));
	to->path_size = written;
	if (!(written & PATH_WHOLE))
		to->flags |= OOMKILL_MEMCG_PATH_CUT;
	return 0;
}

/* Of what is charged, the kernel's part, as it was added up last: up to 2 s ago. */
__noinline u64 charged_kernel(u64 root)
{
	struct mem_cgroup___v510 *v510 = (void *)root;
	struct mem_cgroup *memcg = (struct mem_cgroup *)root;
	u64 at, slot = SLOT(memcg_stat_item, MEMCG_KMEM);
	s64 pages = 0;

	if (slot == NO_SLOT || bpf_core_field_exists(v510->vmstats))
		return OOMKILL_UNKNOWN;
	at = vmstats_address(memcg) + bpf_core_field_offset(struct memcg_vmstats, state);
	bpf_probe_read_kernel(&pages, sizeof(pages), (void *)(at + slot * sizeof(pages)));
	return not_negative(pages);
}

__noinline int describe_shares(void)
{
	u32 i;

	KEEP_LOOP
	for (i = 0; i < OOMKILL_SHARES; i++)
		describe_share(i);
	return 0;
}

static __always_inline void begin_node(struct node_scratch *n, u64 order, u32 gfp)
{
	n->record.charged_pages = OOMKILL_UNKNOWN;
	n->record.charged_kernel_pages = OOMKILL_UNKNOWN;
	n->record.others_pages = 0;
	n->record.gone_pages = 0;
	n->record.others = 0;
	n->record.gone = 0;
	n->record.nodes_used = 0;
	n->record.shares_used = 0;
	n->record.flags = 0;
	n->record.pad = 0;
	n->order = order <= MOST_ORDERS ? order : 0;
	n->highest = highest_zone(gfp);
	n->zones = 0;
	n->least_pages = 0;
}

/* Sends what was read, with as much of the paths as was written; or leaves it in its map. */
__noinline int finish_node(u64 began_ns, u64 send)
{
	struct oomkill_counters *c = get_counters();
	struct node_scratch *n = get_node();
	struct scratch *s = get_scratch();
	u64 size;

	if (!n || !s || !c)
		return 0;
	bpf_probe_read_kernel(n->record.strings, OOMKILL_STRINGS_LEN, s->record.strings);
	size = s->used + sizeof(n->record) - OOMKILL_STRINGS_LEN;
	n->record.took_ns = bpf_ktime_get_ns() - began_ns;
	fill_header(&n->record.header, c, OOMKILL_NODE, size);
	barrier_var(size); /* for the verifier: this very register is checked */
	if (!send || size > sizeof(n->record) ||
	    bpf_ringbuf_output(&ring, &n->record, size, BPF_RB_NO_WAKEUP))
		c->records--; /* the victim's goes without, and no number is missing */
	return 0;
}

/* All zones of all nodes; the loops are here and no deeper: one calls eight functions at most. */
static __always_inline void see_zones(u64 pgdat)
{
	u64 zones = pgdat + bpf_core_field_offset(struct pglist_data, node_zonelists);
	u32 i;

	zones += bpf_core_field_offset(struct zonelist, _zonerefs);
	for (i = 0; i < OOMKILL_NODES && zones; i++)
		zones = see_some_zones(zones);
}

/* From the root until it is left. */
static __always_inline void walk_shares(struct node_scratch *n, u64 root)
{
	u32 i;

	enter_cgroup(root, 0);
	for (i = 0; i < WALK_LAPS; i++)
		if (share_laps())
			return;
	n->record.flags |= OOMKILL_NODE_WALK_CUT;
}

/*
 * Reads all of it; with send, it goes ahead of the incident's victim. The paths are written
 * where those of the incident will be, which come after. oom_control: 0 for none.
 */
__noinline int read_node(u64 oom_control, u64 order, u64 gfp, u64 send)
{
	struct oom_control *oc = (struct oom_control *)oom_control;
	u64 began_ns = bpf_ktime_get_ns(), root = 0, pgdat;
	struct node_scratch *n = get_node();
	struct scratch *s = get_scratch();

	if (!n || !s)
		return 0;
	begin_node(n, order, gfp);
	s->used = 0;
	n->record.allowed_nodes = allowed_nodes(oc);
	if (!config.memcg_disabled)
		root = root_of(task_memcg((void *)bpf_get_current_task()));
	pgdat = any_pgdat(oc ? (u64)BPF_CORE_READ(oc, zonelist) : 0, root);
	if (pgdat)
		see_zones(pgdat);
	if (root) {
		n->record.charged_pages =
			BPF_CORE_READ((struct mem_cgroup *)root, memory.usage.counter);
		n->record.charged_kernel_pages = charged_kernel(root);
		walk_shares(n, root);
		describe_shares();
	}
	finish_node(began_ns, send);
	s->used = 0;
	return 0;
}

static __always_inline void send_node(u64 oom_control, u64 order, u64 gfp)
{
	if (!is_nearly_full())
		read_node(oom_control, order, gfp, true);
}

#endif /* SHARES_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Out of memory without a kill: what the OOM killer's hooks never see.
 *
 * The flight recorder's walk looks at each memory cgroup's own events, too:
 *
 *	OOM grows, OOM_KILL does not	nothing may be killed, or the charge was refused
 *	under_oom, oom_kill_disable	cgroup v1: its tasks wait until there is room
 *	HIGH grows, usage is above	memory.high: its tasks are put to sleep
 *	SIGBUS, too full for it		a huge page was refused: see huge_page.bpf.h
 *
 * What goes on for long enough is an episode: a record when that is so and each minute
 * from then on, and one when it is over. A kill ends it, or a while without any of these.
 */
#ifndef STUCK_BPF_H
#define STUCK_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "core_fixes.bpf.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"

#define STUCK_NS 3000000000ULL /* a victim that is traced keeps others waiting for 2 s */
#define THROTTLED_NS 10000000000ULL /* reclaim may take a while, and succeed */
#define QUIET_NS 10000000000ULL
#define RETELL_NS 60000000000ULL /* for a reader that was not there */
#define STUCK_LOOKS 3 /* in so many ticks at least */
#define EVENTS_READ 4 /* MEMCG_HIGH, MEMCG_MAX and MEMCG_OOM are among the first */
#define OVER_SHIFT 6 /* by a 64th of memory.high it is above it, for what CPUs charge ahead */

/* Of one cgroup and one enum oomkill_stuck_cause. */
struct struggle {
	u64 count; /* of the event, when last looked at */
	u64 kills;
	u64 count_before; /* the first growth of this run */
	u64 since_ns; /* when that was; 0: there is none */
	u64 last_ns; /* the latest */
	u64 seen_ns; /* when it was looked at; a cgroup that is gone is not */
	u64 id;
	u32 looks; /* ticks with growth */
	u32 told; /* the record of its begin was sent */
	u64 told_ns; /* the latest one */
};

/* Of cgroups that have such events at all: few do. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64); /* serial number of the css, times 4, and the cause */
	__type(value, struct struggle);
} struggles SEC(".maps");

struct stuck_scratch {
	u32 used; /* of record.path */
	u32 whole;
	struct oomkill_stuck record;
};

/* The timer's, and a signal's: neither comes in the middle of the other on one CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct stuck_scratch);
} stuck_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} stuck_ring SEC(".maps");

/* Those below it included, on cgroup v2; on v1, of this very cgroup. */
static __always_inline u64 memcg_kills_below(struct mem_cgroup *memcg)
{
	u64 event = (u64)__builtin_preserve_access_index(&memcg->memory_events);
	u64 count = 0;

	event += bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM_KILL) * sizeof(u64);
	bpf_probe_read_kernel(&count, sizeof(count), (void *)event);
	return count;
}

static __always_inline bool has_children(struct mem_cgroup *memcg)
{
	u64 head = (u64)__builtin_preserve_access_index(&memcg->css.children);

	return list_next(head, head) != 0;
}

static __always_inline struct stuck_scratch *get_stuck(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&stuck_scratch, &key);
}

/* Writes one name of a path, and returns the next node; 0 at the root, or without room. */
__noinline u64 write_stuck_name(u64 kernfs_node)
{
	u64 parent = (u64)kernfs_parent((struct kernfs_node *)kernfs_node);
	struct stuck_scratch *s = get_stuck();
	long size;
	u64 at;

	if (!s)
		return 0;
	if (!parent) {
		s->whole = true;
		return 0;
	}
	at = s->used;
	barrier_var(at); /* for the verifier: this very register is checked */
	if (at > OOMKILL_STUCK_PATH_LEN - NAME_SIZE)
		return 0;
	size = bpf_probe_read_kernel_str(&s->record.path[at], NAME_SIZE,
					 BPF_CORE_READ((struct kernfs_node *)kernfs_node, name));
	if (size <= 0)
		return 0;
	s->used = at + (size & (2 * NAME_SIZE - 1));
	return parent;
}

/* memcg: 0 for one that is gone. */
__noinline int tell_stuck(u64 memcg_address, u64 key, u64 state)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)memcg_address;
	struct struggle *of = bpf_map_lookup_elem(&struggles, &key);
	struct stuck_scratch *s = get_stuck();
	struct oomkill_stuck *to;
	u64 kn = 0;
	int i;

	if (!of || !s)
		return 0;
	to = &s->record;
	to->boot_ns = bpf_ktime_get_boot_ns();
	to->began_ns = of->since_ns;
	to->last_ns = of->last_ns;
	to->events = of->count - of->count_before;
	to->id = of->id;
	to->usage_pages = to->limit_pages = to->high_pages = OOMKILL_UNKNOWN;
	to->size = sizeof(*to);
	to->layout = OOMKILL_LAYOUT;
	to->kind = OOMKILL_STUCK;
	to->state = state;
	to->cause = key % OOMKILL_STUCK_CAUSES;
	to->flags = 0;
	s->used = 0;
	s->whole = false;
	if (memcg) {
		to->usage_pages = BPF_CORE_READ(memcg, memory.usage.counter);
		to->limit_pages = BPF_CORE_READ(memcg, memory.max);
		to->high_pages = BPF_CORE_READ(memcg, memory.high);
		kn = (u64)BPF_CORE_READ(memcg, css.cgroup, kn);
		for (i = 0; i <= OOMKILL_PATH_DEPTH && kn; i++)
			kn = write_stuck_name(kn);
		if (!s->whole)
			to->flags |= OOMKILL_MEMCG_PATH_CUT;
	}
	to->path_size = s->used;
	of->told = state == OOMKILL_STUCK_BEGAN;
	of->told_ns = to->boot_ns;
	bpf_ringbuf_output(&stuck_ring, to, sizeof(*to), BPF_RB_FORCE_WAKEUP);
	return 0;
}

static __always_inline void end_struggle(struct struggle *of, u64 memcg, u64 key)
{
	if (of->told)
		tell_stuck(memcg, key, OOMKILL_STUCK_ENDED);
	of->since_ns = 0;
	of->looks = 0;
}

/*
 * One kind of event of a cgroup; before: how many there had been when it was first seen;
 * holds: what else must be so for it to count.
 */
__noinline int look_at(u64 memcg_address, u64 key, u64 count, u64 before, u64 holds)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)memcg_address;
	struct struggle *of = bpf_map_lookup_elem(&struggles, &key);
	u64 now = bpf_ktime_get_boot_ns(), kills = memcg_kills_below(memcg), cause, enough;
	struct struggle first = {
		.count = before,
		.kills = kills,
		.id = memcg_id(memcg),
	};

	if (!of) {
		bpf_map_update_elem(&struggles, &key, &first, BPF_NOEXIST);
		of = bpf_map_lookup_elem(&struggles, &key);
		if (!of)
			return 0;
	}
	cause = key % OOMKILL_STUCK_CAUSES;
	of->seen_ns = now;
	if (kills != of->kills && cause != OOMKILL_STUCK_THROTTLED) {
		end_struggle(of, memcg_address, key);
	} else if (holds && (count != of->count || cause == OOMKILL_STUCK_DISABLED)) {
		if (!of->since_ns) {
			of->since_ns = now;
			of->count_before = of->count;
		}
		of->last_ns = now;
		of->count = count;
		of->looks++;
		enough = cause == OOMKILL_STUCK_THROTTLED ? THROTTLED_NS : STUCK_NS;
		if (of->told ? now - of->told_ns >= RETELL_NS
			     : of->looks >= STUCK_LOOKS && now - of->since_ns >= enough)
			tell_stuck(memcg_address, key, OOMKILL_STUCK_BEGAN);
	} else if (of->since_ns && now - of->last_ns >= QUIET_NS) {
		end_struggle(of, memcg_address, key);
	}
	of->count = count;
	of->kills = kills;
	return 0;
}

/* On cgroup v2, which alone has memory.high. */
static __always_inline void look_for_throttled(struct mem_cgroup *memcg, u64 key, u64 highs,
					       bool known)
{
	u64 high = BPF_CORE_READ(memcg, memory.high);
	u64 usage = BPF_CORE_READ(memcg, memory.usage.counter);

	look_at((u64)memcg, key + OOMKILL_STUCK_THROTTLED, highs, known ? 0 : highs,
		usage > high + (high >> OVER_SHIFT));
}

/* Its begin was told with the first of them; this only knows when it is over. */
__noinline int look_for_refused(u64 memcg_address, u64 key)
{
	struct struggle *of = bpf_map_lookup_elem(&struggles, &key);
	u64 now = bpf_ktime_get_boot_ns();

	if (!of)
		return 0;
	of->seen_ns = now;
	if (!of->since_ns)
		return 0;
	if (now - of->last_ns >= QUIET_NS) {
		end_struggle(of, memcg_address, key);
		of->count_before = of->count;
	} else if (now - of->told_ns >= RETELL_NS) {
		tell_stuck(memcg_address, key, OOMKILL_STUCK_BEGAN);
	}
	return 0;
}

/*
 * Each cgroup, at each tick; of most of them one read is all. On cgroup v1 a kill is
 * counted where the victim was alone, and not in those above: there, only of a cgroup
 * with none below it is it known that nothing was killed.
 */
__noinline int look_for_stuck(u64 memcg_address, u64 serial)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)memcg_address;
	u64 oom = bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM);
	u64 high = bpf_core_enum_value(enum memcg_memory_event, MEMCG_HIGH);
	u64 max = bpf_core_enum_value(enum memcg_memory_event, MEMCG_MAX);
	u64 from = (u64)__builtin_preserve_access_index(&memcg->memory_events_local);
	u64 key = serial * OOMKILL_STUCK_CAUSES, events[EVENTS_READ] = {}, ooms, highs;
	struct oomkill_recording *rec;
	bool known;

	bpf_probe_read_kernel(events, sizeof(events), (void *)from);
	ooms = oom < EVENTS_READ ? events[oom] : 0;
	highs = high < EVENTS_READ ? events[high] : 0;
	if (max < EVENTS_READ && events[max] && !memcg_is_v1(memcg))
		look_for_refused(memcg_address, key + OOMKILL_STUCK_HUGE_PAGE);
	if (!ooms && !highs)
		return 0;
	rec = bpf_map_lookup_elem(&recordings, &serial);
	/* Then it had none when it was first seen, or is in the map already. */
	known = rec && (rec->first != rec->last || rec->flags & OOMKILL_RECORDING_WHOLE);
	if (!memcg_is_v1(memcg)) {
		if (ooms)
			look_at(memcg_address, key + OOMKILL_STUCK_NO_KILL, ooms, known ? 0 : ooms,
				true);
		if (highs)
			look_for_throttled(memcg, key, highs, known);
	} else if (!ooms) {
		return 0;
	} else if (memcg_oom_disabled(memcg)) {
		look_at(memcg_address, key + OOMKILL_STUCK_DISABLED, ooms, known ? 0 : ooms,
			memcg_under_oom(memcg));
	} else if (!has_children(memcg)) {
		look_at(memcg_address, key + OOMKILL_STUCK_NO_KILL, ooms, known ? 0 : ooms, true);
	}
	return 0;
}

#endif /* STUCK_BPF_H */

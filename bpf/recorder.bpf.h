/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flight recorder: what every memory cgroup used, before anything is killed.
 *
 * A timer of the kernel's runs on_timer() once a tick. It walks the memory cgroups
 * below the root, parents first, and writes each one's usage into its recording. No
 * process takes part: none is woken, and none need be there.
 *
 * A walk is done in goes of GO_NS, with a pause between them, for on_timer() runs in
 * a soft interrupt. Within a go nothing that is read is freed, as nothing that was
 * reachable when it began may be freed before it ends (RCU). From one go to the next
 * a cgroup may be gone: the walk keeps its way down from the root, with each one's
 * serial number, and goes on behind the first that is no longer there.
 */
#ifndef RECORDER_BPF_H
#define RECORDER_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "loops.bpf.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"
#include "children.bpf.h"
#include "stuck.bpf.h"

#define CLOCK_BOOTTIME 7
#define GO_NS 500000ULL /* half of the millisecond that a go may take */
#define PAUSE_NS 5000000ULL
#define GO_LAPS 16
#define CLOCK_EVERY 32 /* cgroups in a lap: the time is looked at no more often */
#define WALK_CGROUPS 65536
#define WALK_DEPTH 64
#define SIBLINGS_LAP 128
#define SIBLINGS_LAPS 128
#define SWEEP_TICKS 60 /* how often, and after how long unseen, recordings are dropped */
#define SHORT_OF_ROOM_TICKS 4 /* the same where there was no room for one */
#define MOST_PAGES (OOMKILL_UNKNOWN_U32 - 1)

/* include/linux/cgroup-defs.h: it is no longer among its siblings */
#define CSS_RELEASED (1 << 2)

struct step {
	u64 css;
	u64 serial; /* siblings are in the order of theirs */
};

struct walk {
	struct bpf_timer timer;
	u32 tick; /* the one that this walk is of */
	u32 depth; /* of the cgroup visited last; path[0] is the root */
	u32 going; /* between two goes of one walk */
	u32 sweep; /* drop the recordings of cgroups that are gone, next */
	u32 swept; /* tick of the last time */
	u32 keep_ticks; /* unseen for longer, a recording is dropped */
	u32 visited; /* in this walk, those that are gone but still listed included */
	u32 seen;
	u32 recorded;
	u32 knows_all; /* there was room for every cgroup: one that is not known is new */
	u32 pad;
	u64 began_ns;
	u64 child; /* list node of the first child of the cgroup visited last; 0: none */
	u64 sibling; /* of its next sibling, or the list's head; 0: to be looked for */
	struct step path[WALK_DEPTH];
	struct oomkill_recording blank;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct walk);
} walk SEC(".maps");

static __always_inline struct walk *get_walk(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&walk, &key);
}

static __always_inline struct step *step_at(struct walk *w, u32 depth)
{
	barrier_var(depth); /* for the verifier: this very register is bounded */
	return &w->path[depth % WALK_DEPTH];
}

/* --- one cgroup ------------------------------------------------------------- */

static __always_inline u32 sample_pages(u64 pages)
{
	return pages < MOST_PAGES ? pages : MOST_PAGES;
}

enum series {
	FINE,
	MEDIUM,
	COARSE,
};

static __always_inline u32 *samples_of(struct oomkill_recording *rec, enum series which)
{
	return which == FINE ? rec->fine : which == MEDIUM ? rec->medium : rec->coarse;
}

__noinline int forget_one(u64 serial, u64 which, u64 at)
{
	struct oomkill_recording *rec = bpf_map_lookup_elem(&recordings, &serial);

	if (rec)
		samples_of(rec, which)[at % OOMKILL_SAMPLES] = OOMKILL_UNKNOWN_U32;
	return 0;
}

/* Forgets the samples between two: no walk came then. */
__noinline int forget(u64 serial, u64 which, u64 from, u64 to)
{
	u64 i;

	for (i = 0; i < OOMKILL_SAMPLES; i++) {
		if (from + i >= to)
			break;
		forget_one(serial, which, from + i);
	}
	return 0;
}

/*
 * A coarser series' current sample is beside what else is touched at every tick, and
 * goes to its place once it is whole: what is touched seldom is no cache miss each time.
 */
static __always_inline void put_largest(struct oomkill_recording *rec, u64 serial,
					enum series which, u32 ticks, u32 tick, u32 pages, u32 *now)
{
	u32 this = tick / ticks, last = rec->last / ticks;

	if (this == last) {
		if (*now < pages)
			*now = pages;
		return;
	}
	samples_of(rec, which)[last % OOMKILL_SAMPLES] = *now;
	if (this > last + 1)
		forget(serial, which, last + 1, this);
	*now = pages;
}

static __always_inline void note_limit(struct oomkill_recording *rec, u32 tick, u32 pages)
{
	struct oomkill_limit *to = &rec->limits[rec->limits_seen % OOMKILL_LIMITS];

	to->tick = tick;
	to->pages = pages;
	rec->limit_now = pages;
	rec->limits_seen++;
}

static __always_inline u32 full_room(u32 limit)
{
	u32 room = limit >> OOMKILL_FULL_SHIFT, most = limit >> OOMKILL_FULL_MOST_SHIFT;
	u32 least = config.page_size ? OOMKILL_FULL_LEAST_BYTES / config.page_size : 0;

	if (room < least)
		room = least;
	return room < most ? room : most;
}

__noinline int record_usage(u64 address, u64 serial)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)address;
	struct oomkill_recording *rec;
	struct walk *w = get_walk();
	u32 pages, limit, tick;

	if (!w)
		return 0;
	tick = w->tick;
	pages = sample_pages(BPF_CORE_READ(memcg, memory.usage.counter));
	limit = sample_pages(BPF_CORE_READ(memcg, memory.max));
	rec = bpf_map_lookup_elem(&recordings, &serial);
	if (!rec) {
		if (bpf_map_update_elem(&recordings, &serial, &w->blank, BPF_NOEXIST))
			return 0;
		rec = bpf_map_lookup_elem(&recordings, &serial);
		if (!rec)
			return 0;
		rec->flags = OOMKILL_RECORDING_TORN | (w->knows_all ? OOMKILL_RECORDING_WHOLE : 0);
		barrier();
		rec->id = memcg_id(memcg);
		rec->first = rec->last = tick;
		rec->full_since = OOMKILL_UNKNOWN_U32;
		note_limit(rec, tick, limit);
	}
	w->recorded++;
	/*
	 * For who copies it meanwhile. Of the next tick only the fine series' oldest sample
	 * and the latest are touched before `last` is: what is copied then is as it was.
	 */
	if (tick != rec->last + 1 || tick % OOMKILL_MEDIUM_TICKS == 0)
		rec->flags |= OOMKILL_RECORDING_TORN;
	barrier();
	if (tick > rec->last + 1)
		forget(serial, FINE, rec->last + 1, tick);
	rec->fine[tick % OOMKILL_SAMPLES] = pages;
	put_largest(rec, serial, MEDIUM, OOMKILL_MEDIUM_TICKS, tick, pages, &rec->medium_now);
	put_largest(rec, serial, COARSE, OOMKILL_COARSE_TICKS, tick, pages, &rec->coarse_now);
	if (limit != rec->limit_now)
		note_limit(rec, tick, limit);
	if (pages < limit - full_room(limit))
		rec->full_since = OOMKILL_UNKNOWN_U32;
	else if (rec->full_since == OOMKILL_UNKNOWN_U32)
		rec->full_since = tick;
	rec->last = tick;
	barrier();
	rec->flags &= ~OOMKILL_RECORDING_TORN;
	return 0;
}

/* --- from one cgroup to the next ---------------------------------------------- */

static __always_inline u64 children_head(u64 css)
{
	return (u64)__builtin_preserve_access_index(&((struct cgroup_subsys_state *)css)->children);
}

static __always_inline u64 css_of(u64 node)
{
	return node - bpf_core_field_offset(struct cgroup_subsys_state, sibling);
}

static __always_inline u64 next_node(u64 node)
{
	return (u64)BPF_CORE_READ((struct list_head *)node, next);
}

static __always_inline u64 serial_of(u64 css)
{
	return BPF_CORE_READ((struct cgroup_subsys_state *)css, serial_nr);
}

/* What is read of a css, all at once: its start, up to the last field that is used. */
struct css_start {
	u8 bytes[128];
};

#define CSS_FIELD(start, type, field)                                                              \
	(*(type *)((start)->bytes + bpf_core_field_offset(struct cgroup_subsys_state, field)))

/* Makes a cgroup the one visited last. Returns it, with CSS_ALIVE added if it is. */
#define CSS_ALIVE 1ULL

__noinline u64 stand_on(u64 depth, u64 css)
{
	struct walk *w = get_walk();
	struct css_start start;
	u64 node, alive;
	struct step *at;

	if (!w || bpf_probe_read_kernel(&start, sizeof(start), (void *)css))
		return 0;
	at = step_at(w, depth);
	w->depth = depth;
	at->css = css;
	at->serial = CSS_FIELD(&start, u64, serial_nr);
	node = CSS_FIELD(&start, u64, children.next);
	w->child = node == children_head(css) ? 0 : node;
	w->sibling = CSS_FIELD(&start, u64, sibling.next);
	alive = (CSS_FIELD(&start, u32, flags) & (CSS_ONLINE | CSS_DYING)) == CSS_ONLINE;
	if (CSS_FIELD(&start, u32, flags) & CSS_RELEASED)
		w->sibling = 0;
	return css | alive;
}

/*
 * The next in a list to look at; 0: the search is over, and this one, made later, or the
 * list's head is the sibling to walk on with.
 */
__noinline u64 see_sibling(u64 node, u64 head, u64 serial)
{
	struct walk *w = get_walk();

	if (!w)
		return 0;
	if (node != head && serial_of(css_of(node)) <= serial)
		return next_node(node);
	w->sibling = node;
	return 0;
}

__noinline u64 see_siblings(u64 first, u64 head, u64 serial)
{
	u64 node = first;
	u32 i;

	for (i = 0; i < SIBLINGS_LAP && node; i++)
		node = see_sibling(node, head, serial);
	return node;
}

/*
 * The next sibling of the cgroup visited last where that is gone: the first that was made
 * later, as css_next_child() finds it, or the list's head.
 */
__noinline int find_sibling(void)
{
	struct walk *w = get_walk();
	u64 parent, head, serial, node;
	u32 depth, i;

	if (!w || w->sibling)
		return 0;
	depth = w->depth;
	if (!depth || depth >= WALK_DEPTH)
		return 0;
	parent = step_at(w, depth - 1)->css;
	serial = step_at(w, depth)->serial;
	head = children_head(parent);
	node = next_node(head);
	for (i = 0; i < SIBLINGS_LAPS && node; i++)
		node = see_siblings(node, head, serial);
	if (!w->sibling)
		w->sibling = head;
	return 0;
}

/* A css's sibling list entry, as of now; 0: it is in the list no longer. */
static __always_inline u64 sibling_node(u64 css)
{
	struct cgroup_subsys_state *state = (void *)css;

	if (!css || BPF_CORE_READ(state, flags) & CSS_RELEASED)
		return 0;
	return (u64)BPF_CORE_READ(state, sibling.next);
}

/* On to the next sibling; without one, back to the parent, which gives WENT_UP; 0: at the root. */
#define WENT_UP 2ULL

__noinline u64 walk_beside(void)
{
	struct walk *w = get_walk();
	u32 depth;

	if (!w)
		return 0;
	depth = w->depth;
	if (!depth || depth >= WALK_DEPTH)
		return 0;
	if (w->sibling != children_head(step_at(w, depth - 1)->css))
		return stand_on(depth, css_of(w->sibling));
	w->depth = depth - 1;
	w->sibling = sibling_node(step_at(w, depth - 1)->css);
	return WENT_UP;
}

/* Up until there is a sibling, and on to it; 0: back at the root. */
__noinline u64 walk_up(void)
{
	u32 i;

	for (i = 0; i < WALK_DEPTH; i++) {
		u64 css;

		find_sibling();
		css = walk_beside();
		if (css != WENT_UP)
			return css;
	}
	return 0;
}

/* The next cgroup, parents before children, as stand_on() gives it; 0: there is none. */
static __always_inline u64 walk_on(struct walk *w)
{
	if (w->child && w->depth + 1 < WALK_DEPTH)
		return stand_on(w->depth + 1, css_of(w->child));
	return walk_up();
}

/* Whether a cgroup of the way down is still there. */
__noinline int is_there(u64 depth)
{
	struct walk *w = get_walk();
	struct step *at;

	if (!w)
		return 0;
	at = step_at(w, depth);
	return serial_of(at->css) == at->serial && sibling_node(at->css);
}

/*
 * Where the last go ended: of the way down from the root, what is still there. What is
 * gone may be another css's memory, or nobody's, by now.
 */
__noinline int find_again(void)
{
	struct walk *w = get_walk();
	u32 depth, i;

	if (!w)
		return 0;
	depth = w->depth;
	w->child = w->sibling = 0;
	for (i = 1; i < WALK_DEPTH; i++) {
		if (i > depth)
			break;
		if (!is_there(i)) {
			w->depth = i; /* its siblings are found by its serial number */
			return 0;
		}
	}
	stand_on(depth, step_at(w, depth)->css);
	return 0;
}

/* --- the timer -------------------------------------------------------------------- */

static long drop_unseen(void *map, u64 *serial, struct oomkill_recording *rec, void *unused)
{
	struct walk *w = get_walk();

	if (w && rec->last + w->keep_ticks < w->tick)
		bpf_map_delete_elem(&recordings, serial);
	return 0;
}

/* What was stuck in a cgroup that is gone is so no longer. */
static long end_unseen(void *map, u64 *key, struct struggle *of, void *unused)
{
	struct walk *w = get_walk();
	u64 of_key = *key;

	if (!w || of->seen_ns >= w->began_ns)
		return 0;
	if (of->told)
		tell_stuck(0, of_key, OOMKILL_STUCK_ENDED);
	bpf_map_delete_elem(&struggles, &of_key);
	return 0;
}

/*
 * Functions of their own: a compiler makes one call of two to the same helper, and then
 * an older verifier does not know which map it is for.
 */
__noinline int drop_recordings(void)
{
	bpf_for_each_map_elem(&recordings, drop_unseen, NULL, 0);
	return 0;
}

__noinline int end_struggles(void)
{
	bpf_for_each_map_elem(&struggles, end_unseen, NULL, 0);
	return 0;
}

static __always_inline void begin_walk(struct walk *w, struct oomkill_recorder *r, u32 tick)
{
	if (r->walks && tick > w->tick + 1)
		r->missed_ticks += tick - w->tick - 1;
	w->tick = tick;
	w->began_ns = bpf_ktime_get_boot_ns();
	stand_on(0, w->path[0].css);
	w->visited = 0;
	w->seen = 0;
	w->recorded = 0;
	w->going = true;
}

static __always_inline void end_walk(struct walk *w, struct oomkill_recorder *r)
{
	w->going = false;
	if (w->visited >= WALK_CGROUPS)
		r->cut_walks++;
	r->walks++;
	r->cgroups = w->seen;
	r->recorded = w->recorded;
	w->knows_all = w->recorded == w->seen;
	w->keep_ticks = w->recorded < w->seen ? SHORT_OF_ROOM_TICKS : SWEEP_TICKS;
	if (w->tick >= w->swept + w->keep_ticks) {
		w->sweep = true;
		w->swept = w->tick;
	}
}

/*
 * The next cgroup; 1: there is none. It and the loops around it are functions of their
 * own so that each loop ends with the jump to its begin: up to v6.1 the verifier takes
 * no other.
 */
__noinline int visit(void)
{
	struct walk *w = get_walk();
	u64 css;

	if (!w)
		return 1;
	css = walk_on(w);
	if (!css || w->visited >= WALK_CGROUPS)
		return 1;
	w->visited++;
	if (css & CSS_ALIVE) {
		w->seen++;
		/* A memcg's css is its first member. */
		record_usage(css & ~CSS_ALIVE, step_at(w, w->depth)->serial);
		look_for_stuck(css & ~CSS_ALIVE, step_at(w, w->depth)->serial);
	}
	return 0;
}

__noinline int visit_some(void)
{
	u32 i;

	KEEP_LOOP
	for (i = 0; i < CLOCK_EVERY; i++)
		if (visit())
			return 1;
	return 0;
}

/* Until the walk or this go's time is at its end; 1: the walk is. */
__noinline int visit_in_time(u64 began_ns)
{
	u32 i;

	KEEP_LOOP
	for (i = 0; i < GO_LAPS; i++) {
		if (visit_some())
			return 1;
		if (bpf_ktime_get_ns() - began_ns > GO_NS)
			return 0;
	}
	return 0;
}

static int on_timer(void *map, u32 *key, struct walk *w)
{
	struct oomkill_recorder *r = get_recorder();
	u64 began_ns = bpf_ktime_get_ns(), now = bpf_ktime_get_boot_ns(), took_ns, wait_ns;

	if (!r || !config.tick_ns)
		return 0;
	if (w->sweep && !w->going) {
		w->sweep = false;
		drop_recordings();
	} else {
		if (w->going)
			find_again();
		else
			begin_walk(w, r, now / config.tick_ns);
		if (visit_in_time(began_ns)) {
			end_walk(w, r);
			end_struggles();
		}
	}
	r->goes++;
	took_ns = bpf_ktime_get_ns() - began_ns;
	r->busy_ns += took_ns;
	if (took_ns > r->longest_ns)
		r->longest_ns = took_ns;
	if (w->going || w->sweep)
		wait_ns = PAUSE_NS;
	else /* to the begin of the next tick */
		wait_ns = config.tick_ns - bpf_ktime_get_boot_ns() % config.tick_ns;
	bpf_timer_start(&w->timer, wait_ns, 0);
	return 0;
}

__noinline u64 parent_or_itself(u64 memcg)
{
	u64 parent = (u64)parent_memcg((struct mem_cgroup *)memcg);

	return parent ? parent : memcg;
}

/* The root of the memory cgroups is above whoever starts the recorder. */
static __always_inline int start_recorder(void)
{
	struct mem_cgroup *memcg = task_memcg((void *)bpf_get_current_task());
	struct walk *w = get_walk();
	int level, error;
	u64 top;

	if (!w || !memcg)
		return -1;
	top = (u64)memcg;
	for (level = 0; level < WALK_DEPTH; level++)
		top = parent_or_itself(top);
	stand_on(0, top);
	error = bpf_timer_init(&w->timer, &walk, CLOCK_BOOTTIME);
	if (!error)
		error = bpf_timer_set_callback(&w->timer, on_timer);
	if (!error)
		error = bpf_timer_start(&w->timer, 0, 0);
	return error;
}

#endif /* RECORDER_BPF_H */

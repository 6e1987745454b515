/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who else kills: SIGKILL that the OOM killer did not send.
 *
 * The tracepoint signal_generate is passed by every signal of the machine, so all that
 * is no SIGKILL leaves at once. The sender is `current`: what the signal says of itself
 * differs between kernels, and anybody may make it up. It runs with interrupts off on
 * several CPUs at a time, beside the hooks of the OOM killer and in the middle of an
 * incident of theirs: it shares no map with them, and has a ring of its own, so that no
 * storm of signals costs an OOM record.
 *
 *	kill(2), pidfd_send_signal(2)	a process of its choice
 *	cgroup.kill			all processes of a cgroup, one by one
 *	zap_pid_ns_processes()		all of a PID namespace, when its PID 1 ends
 *	__oom_kill_process()		the victim, mark_victim, then who shares its memory
 */
#ifndef KILLERS_BPF_H
#define KILLERS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "killers.h"
#include "core_fixes.bpf.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"
#include "process.bpf.h"
#include "tracepoint_only.bpf.h"

#define SIGINT 2
#define SIGQUIT 3
#define SIGTERM 15
#define SIGWINCH 28
#define SIGRTMIN_3 37

/* What images and units ask for a stop by: the usual one, nginx', Apache's, systemd's. */
#define STOP_SIGNALS                                                                               \
	(1ULL << SIGTERM | 1ULL << SIGINT | 1ULL << SIGQUIT | 1ULL << SIGWINCH | 1ULL << SIGRTMIN_3)

/* include/trace/events/signal.h, include/linux/sched/signal.h, include/linux/sched.h */
#define TRACE_SIGNAL_DELIVERED 0
#define SEND_SIG_NOINFO 0
#define PF_EXITING 0x00000004

/* All that dies of one cause does so within this time. */
#define TOGETHER_NS 1000000000ULL

#define STOPS_BITS 12
#define HASH_MULTIPLIER 0x9E3779B97F4A7C15ULL /* 2^64 by the golden ratio */

struct stop {
	u64 ns;
	u64 leader; /* who was asked: its task's address */
	u64 jiffies;
	u32 signal;
	u32 pid;
	char comm[16];
	u64 ns_again; /* else two CPUs wrote it at a time */
};

struct allowance_key {
	u64 cgroup_id;
	u64 init;
};

struct allowance {
	u64 since;
	u64 used;
};

/* What told a PID namespace, or a cgroup, from the next one at the same address or id. */
struct end {
	u64 ns;
	u64 whose; /* start of its PID 1, or thread that wrote cgroup.kill */
};

struct oom_victim {
	u64 mm;
	u64 ns;
	u32 tgid;
	u32 pad;
};

struct killers_scratch {
	u32 used; /* of record.strings */
	u32 whole; /* the path has all its names */
	struct oomkill_kill record;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct killers_scratch);
} kill_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} kill_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct oomkill_killers);
} killers SEC(".maps");

/*
 * Who was asked to stop, by the lower bits of its process id: a hash map's update alone
 * takes longer than all that is done for such a signal.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << STOPS_BITS);
	__type(key, u32);
	__type(value, struct stop);
} stops SEC(".maps");

/* By PID namespace, an address; or by cgroup, a number far below any address. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, u64);
	__type(value, struct end);
} ends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct allowance_key);
	__type(value, struct allowance);
} allowances SEC(".maps");

/* The OOM killer's victim, by the thread that kills. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, struct oom_victim);
} oom_victims SEC(".maps");

static __always_inline struct killers_scratch *get_killers_scratch(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&kill_scratch, &key);
}

static __always_inline struct oomkill_killers *get_killers(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&killers, &key);
}

/* Other CPUs count as well. */
#define COUNT(field) __sync_fetch_and_add(&(field), 1)

static __always_inline struct pid_namespace *task_pid_ns(struct task_struct *task, u32 level)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u64 upid = (u64)pid + bpf_core_field_offset(pid->numbers);
	struct pid_namespace *ns = NULL;

	if (!pid || level > BPF_CORE_READ(pid, level))
		return NULL;
	upid += level * bpf_core_type_size(struct upid);
	upid += bpf_core_field_offset(struct upid, ns);
	bpf_probe_read_kernel(&ns, sizeof(ns), (void *)upid);
	return ns;
}

static __always_inline u32 task_level(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread_pid, level);
}

/* Writes one name of a path, and returns the next node; 0 at the root, or without room. */
__noinline u64 write_kill_level(u64 kernfs_node, u64 start)
{
	u64 parent = (u64)kernfs_parent((struct kernfs_node *)kernfs_node);
	struct killers_scratch *s = get_killers_scratch();
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
	if (at - start > OOMKILL_KILL_PATH_LEN - NAME_SIZE ||
	    at > OOMKILL_KILL_STRINGS_LEN - NAME_SIZE)
		return 0;
	size = bpf_probe_read_kernel_str(&s->record.strings[at], NAME_SIZE,
					 BPF_CORE_READ((struct kernfs_node *)kernfs_node, name));
	if (size <= 0)
		return 0;
	s->used = at + (size & (2 * NAME_SIZE - 1));
	return parent;
}

#define PARTY_LAPS 3 /* of as many levels: OOMKILL_KILL_PATH_DEPTH, and the root */
#define PARTY_LEVELS 11

__noinline u64 write_kill_levels(u64 kernfs_node, u64 start)
{
	u64 kn = kernfs_node;
	int i;

	for (i = 0; i < PARTY_LEVELS && kn; i++)
		kn = write_kill_level(kn, start);
	return kn;
}

enum party {
	TARGET,
	SENDER,
};

/* A process and its cgroup, the one its container is known by. */
__noinline int fill_party(u64 leader_address, u64 tid, u64 which)
{
	struct task_struct *leader = (struct task_struct *)leader_address;
	struct cgroup *cgroup = naming_cgroup(leader, task_memcg(leader));
	struct killers_scratch *s = get_killers_scratch();
	struct oomkill_party *to;
	u64 kn;
	int i;

	if (!s || which > SENDER)
		return 0;
	to = &s->record.target + which; /* the sender is behind it */
	to->cgroup_id = BPF_CORE_READ(cgroup, kn, id);
	to->start_boottime_ns = BPF_CORE_READ(leader, start_boottime);
	to->pid = BPF_CORE_READ(leader, tgid);
	to->tid = tid;
	to->pid_in_ns = innermost_pid(leader);
	to->ppid = BPF_CORE_READ(leader, real_parent, tgid);
	to->uid = BPF_CORE_READ(leader, real_cred, uid.val);
	to->oom_score_adj = BPF_CORE_READ(leader, signal, oom_score_adj);
	to->cgroup_flags = BPF_CORE_READ(cgroup, root, hierarchy_id) ? OOMKILL_MEMCG_V1 : 0;
	BPF_CORE_READ_STR_INTO(&to->comm, leader, comm);
	BPF_CORE_READ_STR_INTO(&to->parent_comm, leader, real_parent, comm);
	to->path_offset = s->used;
	s->whole = false;
	kn = (u64)BPF_CORE_READ(cgroup, kn);
	for (i = 0; i < PARTY_LAPS && kn; i++)
		kn = write_kill_levels(kn, to->path_offset);
	to->path_size = s->used - to->path_offset;
	if (!s->whole)
		to->cgroup_flags |= OOMKILL_MEMCG_PATH_CUT;
	return 0;
}

/* Whether a cgroup may still have a record in this while. */
static __always_inline bool is_allowed(u64 cgroup_id, bool init, u64 now)
{
	struct allowance_key key = { .cgroup_id = cgroup_id, .init = init };
	struct allowance *known = bpf_map_lookup_elem(&allowances, &key);
	struct allowance first = { .since = now, .used = 1 };

	if (!known || now - known->since > OOMKILL_KILL_BURST_NS) {
		bpf_map_update_elem(&allowances, &key, &first, BPF_ANY);
		return true;
	}
	if (known->used >= OOMKILL_KILL_BURST)
		return false;
	COUNT(known->used);
	return true;
}

static __always_inline void mark_end(u64 of, u64 whose, u64 now)
{
	struct end end = { .ns = now, .whose = whose };

	bpf_map_update_elem(&ends, &of, &end, BPF_ANY);
}

/* When it ended, as far as is known; 0: not yet. */
static __always_inline u64 ended_at(u64 of, u64 whose)
{
	struct end *known = bpf_map_lookup_elem(&ends, &of);

	return known && known->whose == whose ? known->ns : 0;
}

static __always_inline struct stop *stop_of(u64 leader)
{
	u32 key = leader * HASH_MULTIPLIER >> (64 - STOPS_BITS);

	return bpf_map_lookup_elem(&stops, &key);
}

/*
 * One that is sent again within a tick tells nothing new: so a storm of them costs little more
 * than any other signal. The clock and the sender's name are most of what this takes.
 */
static __always_inline void note_stop(u64 task, u32 signal, bool group)
{
	/* What is sent to a process comes with its leader. */
	u64 leader = group ? task : (u64)BPF_CORE_READ((struct task_struct *)task, group_leader);
	u64 jiffies = bpf_jiffies64(), now;
	struct stop *to = stop_of(leader);

	if (!to || (to->leader == leader && to->jiffies == jiffies && to->signal == signal))
		return;
	now = bpf_ktime_get_boot_ns();
	*(volatile u64 *)&to->ns = now;
	to->leader = leader;
	to->jiffies = jiffies;
	to->signal = signal;
	to->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(&to->comm, sizeof(to->comm));
	*(volatile u64 *)&to->ns_again = now;
}

static __always_inline void no_stop(struct oomkill_kill *to)
{
	to->stop_ns = OOMKILL_UNKNOWN;
	to->stop_signal = OOMKILL_UNKNOWN_U32;
	to->stop_pid = OOMKILL_UNKNOWN_U32;
	to->stop_comm[0] = 0;
}

static __always_inline void fill_stop(struct oomkill_kill *to, u64 leader)
{
	struct stop *stop = stop_of(leader);

	no_stop(to);
	/* Since it was started, none but it has had its address. */
	if (!stop || stop->leader != leader || stop->ns < to->target.start_boottime_ns)
		return;
	to->stop_ns = stop->ns;
	to->stop_signal = stop->signal;
	to->stop_pid = stop->pid;
	__builtin_memcpy(to->stop_comm, stop->comm, sizeof(to->stop_comm));
	barrier();
	if (*(volatile u64 *)&stop->ns != to->stop_ns ||
	    *(volatile u64 *)&stop->ns_again != to->stop_ns)
		no_stop(to);
}

/*
 * The OOM killer's own signal: its victim has a record of its own. Who merely shares the
 * victim's memory is killed after it by the same thread, and nothing else tells of that.
 */
static __always_inline bool only_shares_memory(struct task_struct *target, u64 now)
{
	u32 tid = current_tid(), tgid = BPF_CORE_READ(target, tgid);
	struct oom_victim *known = bpf_map_lookup_elem(&oom_victims, &tid);
	struct oom_victim victim = {
		.mm = (u64)BPF_CORE_READ(target, mm),
		.ns = now,
		.tgid = tgid,
	};

	if (known && victim.mm && known->mm == victim.mm && known->tgid != tgid &&
	    now - known->ns < TOGETHER_NS)
		return true;
	bpf_map_update_elem(&oom_victims, &tid, &victim, BPF_ANY);
	return false;
}

/* Where the sender is, seen from the target's PID namespace. */
static __always_inline u32 sender_place(struct task_struct *sender, struct pid_namespace *ns,
					u32 level)
{
	u32 senders_level = task_level(sender), flags = 0;

	if (level && task_pid_ns(sender, level) == ns)
		flags |= OOMKILL_KILL_INSIDE;
	else if (senders_level < level)
		flags |= OOMKILL_KILL_ABOVE;
	if (senders_level && came_from_outside((u64)BPF_CORE_READ(sender, group_leader)))
		flags |= OOMKILL_KILL_CAME_IN;
	return flags;
}

__noinline int send_kill_record(u64 leader, u64 tid, u64 flags, s64 si_code)
{
	struct task_struct *task = (void *)leader, *sender = (void *)bpf_get_current_task();
	struct killers_scratch *s = get_killers_scratch();
	struct oomkill_killers *c = get_killers();
	struct oomkill_kill *to;
	struct cgroup *cgroup;
	u64 size;

	if (!s || !c)
		return 0;
	cgroup = naming_cgroup(task, task_memcg(task));
	if (!is_allowed(BPF_CORE_READ(cgroup, kn, id),
			flags & (OOMKILL_KILL_INIT | OOMKILL_KILL_BY_CGROUP),
			bpf_ktime_get_boot_ns())) {
		COUNT(c->lost_rate_limit);
		return 0;
	}
	to = &s->record;
	s->used = 0;
	fill_party(leader, tid, TARGET);
	fill_party((u64)BPF_CORE_READ(sender, group_leader), current_tid(), SENDER);
	fill_stop(to, leader);
	to->boot_ns = bpf_ktime_get_boot_ns();
	to->layout = OOMKILL_LAYOUT;
	to->kind = OOMKILL_KILL;
	to->pad = 0;
	to->pad2 = 0;
	to->flags = flags;
	to->si_code = si_code;
	to->exit_code = OOMKILL_UNKNOWN_U32;
	if (flags & OOMKILL_KILL_SENDER_EXITING)
		to->exit_code = BPF_CORE_READ(sender, exit_code);
	size = s->used;
	if (size > OOMKILL_KILL_STRINGS_LEN)
		return 0;
	size += sizeof(*to) - OOMKILL_KILL_STRINGS_LEN;
	to->size = size;
	/* Whoever reads it may not have given back the one before: so wake it always. */
	if (bpf_ringbuf_output(&kill_ring, to, size, BPF_RB_FORCE_WAKEUP))
		COUNT(c->lost_ring_full);
	else
		COUNT(c->records);
	return 0;
}

/* What is known of a signal by how it was sent; 0: nothing. */
static __always_inline u32 sent_how(u64 info, bool group, bool exiting)
{
	if (info == SEND_SIG_PRIV)
		return exiting ? OOMKILL_KILL_NAMESPACE_END : OOMKILL_KILL_SHARED_MEMORY;
	if (info == SEND_SIG_NOINFO && !group && !exiting)
		return OOMKILL_KILL_BY_CGROUP;
	return 0;
}

static __always_inline u64 start_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, start_boottime);
}

/*
 * Whether it dies of something that has a record: with PID 1 of its namespace, of which
 * the nested ones are a part; or with its cgroup.
 */
static __always_inline bool dies_with_others(struct task_struct *sender, struct pid_namespace *ns,
					     u32 level, u64 init_start, u32 how)
{
	struct pid_namespace *senders = task_pid_ns(sender, task_level(sender));

	if (level && ended_at((u64)ns, init_start))
		return true;
	return how == OOMKILL_KILL_NAMESPACE_END && ended_at((u64)senders, start_of(sender));
}

/* Of cgroup.kill: the whole cgroup goes, PID 1 with it, whoever is told of first. */
static __always_inline struct task_struct *first_of_cgroup(struct task_struct *leader,
							   struct task_struct *init, u64 now)
{
	struct cgroup *cgroup = naming_cgroup(leader, task_memcg(leader));
	u64 id = BPF_CORE_READ(cgroup, kn, id), before;

	if (init && naming_cgroup(init, task_memcg(init)) == cgroup)
		return init;
	before = ended_at(id, current_tid());
	if (before && now - before < TOGETHER_NS)
		return NULL;
	mark_end(id, current_tid(), now);
	return leader;
}

/* SIGKILL that takes effect. */
__noinline int on_sigkill(u64 info, u64 target_address, u64 group)
{
	struct task_struct *target = (struct task_struct *)target_address;
	struct task_struct *sender = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(target, group_leader), *init;
	bool exiting = BPF_CORE_READ(sender, flags) & PF_EXITING;
	u32 level = task_level(leader), how, flags;
	struct oomkill_killers *c = get_killers();
	struct pid_namespace *ns = task_pid_ns(leader, level);
	s32 si_code = OOMKILL_UNKNOWN_S32;
	u64 now, init_start;

	if (!c)
		return 0;
	COUNT(c->kills);
	now = bpf_ktime_get_boot_ns();
	init = BPF_CORE_READ(ns, child_reaper, group_leader);
	init_start = start_of(init);
	how = sent_how(info, group, exiting);
	if (how == OOMKILL_KILL_SHARED_MEMORY && !only_shares_memory(target, now)) {
		COUNT(c->by_oom_killer);
		if (level && leader == init)
			mark_end((u64)ns, init_start, now);
		return 0;
	}
	if (how == OOMKILL_KILL_SHARED_MEMORY)
		COUNT(c->by_oom_killer);
	if (dies_with_others(sender, ns, level, init_start, how)) {
		COUNT(c->with_others);
		return 0;
	}
	if (how == OOMKILL_KILL_BY_CGROUP) {
		leader = first_of_cgroup(leader, level ? init : NULL, now);
		if (!leader) {
			COUNT(c->with_others);
			return 0;
		}
	}
	flags = how | sender_place(sender, ns, level);
	if (exiting)
		flags |= OOMKILL_KILL_SENDER_EXITING;
	if (level && leader == init)
		flags |= OOMKILL_KILL_INIT;
	if (level && (leader == init || how == OOMKILL_KILL_NAMESPACE_END))
		mark_end((u64)ns, init_start, now);
	if (how == OOMKILL_KILL_NAMESPACE_END)
		mark_end((u64)task_pid_ns(sender, task_level(sender)), start_of(sender), now);
	if (info > SEND_SIG_PRIV)
		si_code = BPF_CORE_READ((struct kernel_siginfo *)info, si_code);
	return send_kill_record((u64)leader, BPF_CORE_READ(target, pid), flags, si_code);
}

/* args: sig, info, task, group, result */
static __always_inline int on_signal(struct bpf_raw_tracepoint_args *ctx)
{
	u32 signal = ctx->args[0];

	if (signal != SIGKILL) {
		if (signal < 64 && STOP_SIGNALS & 1ULL << signal)
			note_stop(ctx->args[2], signal, ctx->args[3]);
		return 0;
	}
	if ((s32)ctx->args[4] != TRACE_SIGNAL_DELIVERED)
		return 0;
	return on_sigkill(ctx->args[1], ctx->args[2], ctx->args[3]);
}

#endif /* KILLERS_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One incident where mark_victim is the only hook: the domain is inferred. */
#ifndef TRACEPOINT_ONLY_BPF_H
#define TRACEPOINT_ONLY_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "core_fixes.bpf.h"
#include "incident.bpf.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"
#include "process.bpf.h"
#include "send.bpf.h"

#define NS_PER_MS 1000000ULL
#define PF_WQ_WORKER 0x00000020
#define SYSRQ_DEPTH 16 /* nearer than this to the kill is moom_callback() on a stack */
#define SIGKILL 9
#define SEND_SIG_PRIV 1 /* include/linux/sched/signal.h */

/* Further victims of a group come within this time. */
#define GROUP_GAP_NS (500 * NS_PER_MS)

/* The kernel told only the pid of another process. */
static __always_inline void send_pid_only(struct bpf_raw_tracepoint_args *ctx, struct scratch *s,
					  struct oomkill_counters *c, u32 pid)
{
	begin_incident(s, c);
	take_stack(ctx, s);
	s->record.flags |= OOMKILL_INFERRED | OOMKILL_KILL_UNSURE;
	fill_incident(0, 0);
	no_process(&s->record.process);
	no_memcg(&s->record.victim_memcg);
	no_stat(&s->record.victim_stat);
	s->record.cmdline_size = 0;
	s->record.process.tid = pid;
	send_stack();
	send_victim(s, c);
	s->owner = 0;
}

/*
 * Whether a cgroup has run out since it was last seen: its count of that grew. On v1,
 * where the loader cannot read the count from before its time, the first cannot tell.
 */
enum ran_out {
	NOT_AGAIN,
	AGAIN,
	NOT_KNOWN,
};

static __always_inline enum ran_out ran_out_again(struct mem_cgroup *memcg)
{
	u64 ooms = memcg_event(memcg, bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM));
	u64 id = memcg_id(memcg), *seen = bpf_map_lookup_elem(&ooms_seen, &id);
	enum ran_out again = ooms > (seen ? *seen : 0) ? AGAIN : NOT_AGAIN;

	if (!seen && ooms && memcg_is_v1(memcg))
		again = NOT_KNOWN;
	bpf_map_update_elem(&ooms_seen, &id, &ooms, BPF_ANY);
	return again;
}

enum by_sysrq {
	NO_SYSRQ,
	SYSRQ,
	MAYBE_SYSRQ,
};

static __always_inline bool is_full(struct mem_cgroup *memcg)
{
	return memcg_room((u64)memcg) <= (s64)config.pages_slack;
}

/*
 * What ran out, of a cgroup that is close to its limit or NULL: leaves it where it
 * did, else takes it away. Only where no cgroup can have been the cause was it the
 * node, or a cpuset; where one can, and nothing proves it, nobody knows. node: false
 * where something else may have been.
 */
static __always_inline void infer(struct scratch *s, struct mem_cgroup **domain, bool node)
{
	enum ran_out again;

	if (!*domain) {
		s->record.flags |= node ? OOMKILL_NODE_WIDE : OOMKILL_UNTOLD;
		return;
	}
	again = ran_out_again(*domain);
	if (again == AGAIN || (again == NOT_KNOWN && is_full(*domain)))
		return;
	if (again == NOT_KNOWN || is_full(*domain))
		s->record.flags |= OOMKILL_UNTOLD;
	else
		s->record.flags |= node ? OOMKILL_NODE_WIDE : OOMKILL_UNTOLD;
	*domain = NULL;
}

static __always_inline struct oomkill_functions *get_functions(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&functions, &key);
}

__noinline int is_moom_callback(u64 i)
{
	struct oomkill_functions *at = get_functions();
	struct scratch *s = get_scratch();

	if (!s || !at || i >= SYSRQ_DEPTH || i >= s->stack_used)
		return 0;
	return s->stack[i] >= at->moom_callback && s->stack[i] < at->moom_callback_end;
}

__noinline int moom_callback_runs(void)
{
	u32 i;

	for (i = 0; i < SYSRQ_DEPTH; i++)
		if (is_moom_callback(i))
			return 1;
	return 0;
}

/*
 * sysrq-f: a worker runs moom_callback(), which looks for a victim on the spot. Any
 * worker may have been refused memory as well, so without the function's address
 * nobody knows which it was.
 */
static __always_inline enum by_sysrq asked_by_sysrq(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct oomkill_functions *at = get_functions();

	if (!at || !(BPF_CORE_READ(task, flags) & PF_WQ_WORKER))
		return NO_SYSRQ;
	if (!at->moom_callback)
		return MAYBE_SYSRQ;
	return moom_callback_runs() ? SYSRQ : NO_SYSRQ;
}

/*
 * Where mark_victim has only a pid, signal_generate has the victim: the OOM killer sends
 * SIGKILL right before the mark, on the same thread. Nothing of the task is read here,
 * whoever else sent such a signal: the mark's pid tells whether it is the one.
 * args: sig, info, task, group, result
 */
static __always_inline int on_oom_signal(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *s;

	if ((u32)ctx->args[0] != SIGKILL || ctx->args[1] != SEND_SIG_PRIV)
		return 0;
	s = get_scratch();
	if (!s)
		return 0;
	s->signalled = (struct task_struct *)ctx->args[2];
	s->signalled_by = current_tid();
	return 0;
}

/* The victim of a mark that has its pid; NULL: it is another process, and nobody knows. */
static __always_inline struct task_struct *marked_task(struct scratch *s, u32 pid)
{
	struct task_struct *signalled = s->signalled;
	bool ours = s->signalled_by == current_tid();

	s->signalled = NULL;
	s->signalled_by = 0;
	if (pid == current_tid())
		return (struct task_struct *)bpf_get_current_task();
	if (ours && signalled && BPF_CORE_READ(signalled, pid) == pid)
		return signalled;
	return NULL;
}

static __always_inline void on_mark_alone(struct bpf_raw_tracepoint_args *ctx, struct scratch *s,
					  struct oomkill_counters *c)
{
	u64 arg = ctx->args[0];
	struct task_struct *task = (struct task_struct *)arg;
	struct mem_cgroup *memcg, *domain;
	u64 id, kills, *seen, before, now, group, fullest;
	enum by_sysrq sysrq;
	bool unsure = true;

	if (!mark_victim_has_task()) {
		task = marked_task(s, (u32)arg);
		if (!task) {
			send_pid_only(ctx, s, c, (u32)arg);
			return;
		}
	}
	memcg = task_memcg(task);
	if (memcg && !config.memcg_disabled) { /* else there is no count to go by */
		id = memcg_id(memcg);
		kills = memcg_oom_kills(memcg);
		seen = bpf_map_lookup_elem(&kills_seen, &id);
		before = seen ? *seen : 0;
		/* Read by the loader between the kernel's counting and this mark, perhaps. */
		unsure = kills == (before & ~OOMKILL_ENTERED);
		if (kills == before) {
			c->marks++;
			return;
		}
		bpf_map_update_elem(&kills_seen, &id, &kills, BPF_ANY);
	}
	c->kills++;

	now = bpf_ktime_get_boot_ns();
	fullest = config.memcg_disabled ? 0 : fullest_memcg((u64)memcg);
	domain = (struct mem_cgroup *)(fullest & ~TOO_DEEP);
	group = task_group_id(task, domain);
	if (!group || group != s->group_id || s->owner != current_tid() ||
	    now - s->last_ns > GROUP_GAP_NS) {
		begin_incident(s, c);
		s->record.flags |= OOMKILL_INFERRED;
		take_stack(ctx, s);
		sysrq = asked_by_sysrq();
		if (sysrq == SYSRQ) {
			s->record.order = SYSRQ_ORDER;
			domain = NULL;
		} else {
			infer(s, &domain, !(fullest & TOO_DEEP) && sysrq == NO_SYSRQ);
		}
		if (s->record.flags & OOMKILL_NODE_WIDE) /* asked for a user's page, most likely */
			send_node(0, 0, GFP_HIGHMEM | GFP_MOVABLE);
		fill_incident((u64)domain, (u64)task);
	}
	s->record.flags &= ~OOMKILL_KILL_UNSURE;
	if (unsure)
		s->record.flags |= OOMKILL_KILL_UNSURE;
	s->last_ns = now;
	fill_stats((u64)task);
	send_kill((u64)task, marked_tid(arg));
}

#endif /* TRACEPOINT_ONLY_BPF_H */

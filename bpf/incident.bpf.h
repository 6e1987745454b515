/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One incident as the kernel goes through it, by the numbers in oomkill.bpf.c. */
#ifndef INCIDENT_BPF_H
#define INCIDENT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "core_fixes.bpf.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"
#include "children.bpf.h"
#include "process.bpf.h"
#include "send.bpf.h"
#include "before.bpf.h"
#include "stack.bpf.h"
#include "shares.bpf.h"

#define SYSRQ_ORDER -1 /* as moom_callback() has it in its oom_control */

static __always_inline void begin_incident(struct scratch *s, struct oomkill_counters *c)
{
	struct oomkill_victim *record = &s->record;

	c->incidents++;
	s->owner = current_tid();
	s->killed = NULL;
	s->threads = OOMKILL_UNKNOWN_U32;
	s->used = 0;
	s->before_sent = false;
	s->stack_used = 0;
	s->user_stack_used = 0;
	s->stack_taken = false;
	record->total_pages = OOMKILL_UNKNOWN;
	record->points = OOMKILL_UNKNOWN_S64;
	record->order = OOMKILL_UNKNOWN_S32;
	record->gfp_mask = OOMKILL_UNKNOWN_U32;
	record->constraint = OOMKILL_UNKNOWN_U32;
	record->flags = 0;
	record->message[0] = 0;
	record->candidates_used = OOMKILL_UNKNOWN_U32;
	no_stat(&record->domain_stat);
	no_refaults(s);
}

static __always_inline u64 task_group_id(struct task_struct *task, struct mem_cgroup *domain)
{
	struct mem_cgroup *memcg = task_memcg(task);

	if (!memcg || memcg_is_v1(memcg))
		return 0;
	return oom_group_id((u64)memcg, (u64)domain);
}

/* victim: 0 where there is none to know. */
__noinline int fill_incident(u64 domain_address, u64 victim)
{
	struct mem_cgroup *domain = (struct mem_cgroup *)domain_address;
	struct scratch *s = get_scratch();
	struct oomkill_victim *record;

	if (!s)
		return 0;
	record = &s->record;
	s->domain = domain;
	s->domain_memcg = domain_address;
	fill_domain(domain);
	fill_children(domain);
	fill_task_cgroup((void *)bpf_get_current_task(), TRIGGER);
	s->used_by_incident = s->used;
	s->group_id = victim ? task_group_id((struct task_struct *)victim, domain) : 0;
	if (s->group_id)
		record->flags |= OOMKILL_GROUP;
	record->trigger.pid = bpf_get_current_pid_tgid() >> 32;
	record->trigger.tid = current_tid();
	bpf_get_current_comm(&record->trigger.comm, sizeof(record->trigger.comm));
	return 0;
}

/* 1: what ran out, and who asked. */
static __always_inline int on_oom_kill_process(struct oom_control *oc, const char *message)
{
	struct mem_cgroup *memcg = BPF_CORE_READ(oc, memcg);
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();
	struct oomkill_victim *record;
	u32 stack_used, user_stack_used;

	if (!s || !c)
		return 0;
	record = &s->record;
	stack_used = s->stack_used;
	user_stack_used = s->user_stack_used;
	begin_incident(s, c);
	if (s->stack_of == oc) {
		s->stack_used = stack_used;
		s->user_stack_used = user_stack_used;
		s->stack_taken = true;
	}
	s->stack_of = NULL;
	if (!memcg && BPF_CORE_READ(oc, order) != SYSRQ_ORDER)
		send_node(address_of(oc), BPF_CORE_READ(oc, order), BPF_CORE_READ(oc, gfp_mask));
	record->total_pages = BPF_CORE_READ(oc, totalpages);
	record->points = BPF_CORE_READ(oc, chosen_points);
	record->order = BPF_CORE_READ(oc, order);
	record->gfp_mask = BPF_CORE_READ(oc, gfp_mask);
	record->constraint = BPF_CORE_READ(oc, constraint);
	bpf_probe_read_kernel_str(record->message, sizeof(record->message), message);
	if (!memcg)
		record->flags |= OOMKILL_NODE_WIDE;
	if (s->scan == oc && s->kept) /* none: it killed who asked, without a scan */
		record->candidates_used = s->kept;
	s->scan = NULL;
	fill_incident((u64)memcg, (u64)BPF_CORE_READ(oc, chosen));
	return 0;
}

/* 2: SIGKILL is really sent. */
static __always_inline int on_kill(struct task_struct *victim)
{
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();

	if (!s || !c)
		return 0;
	c->kills++;
	if (s->owner != current_tid()) {
		c->lost_no_context++;
		return 0;
	}
	s->killed = victim;
	s->threads = BPF_CORE_READ(victim, signal, nr_threads);
	fill_stats(address_of(victim));
	return 0;
}

/* The victim of this mark if the OOM killer has just killed it, else NULL. */
static __always_inline struct task_struct *killed_task(struct scratch *s, u64 arg)
{
	struct task_struct *killed = s->killed;

	if (s->owner != current_tid() || !killed)
		return NULL;
	s->killed = NULL;
	if (!mark_victim_has_task())
		return killed; /* arg is the pid of one of its threads */
	if (BPF_CORE_READ(killed, tgid) != BPF_CORE_READ((struct task_struct *)arg, tgid))
		return NULL;
	return (struct task_struct *)arg;
}

__noinline int send_kill(u64 task_address, u64 tid)
{
	struct task_struct *task = (struct task_struct *)task_address;
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();

	if (!s || !c)
		return 0;
	s->used = s->used_by_incident;
	no_process(&s->record.process);
	fill_task_cgroup(task, VICTIM);
	fill_process(&s->record, task);
	s->record.process.tid = tid;
	s->record.process.threads = s->threads;
	s->record.cmdline_size = 0;
	s->record.flags &= ~(OOMKILL_CMDLINE_CUT | OOMKILL_FROM_OUTSIDE);
	if (came_from_outside((u64)BPF_CORE_READ(task, group_leader)))
		s->record.flags |= OOMKILL_FROM_OUTSIDE;
	if (config.cmdline && s->record.process.pid == s->record.trigger.pid)
		write_cmdline((u64)BPF_CORE_READ(task, mm));
	send_before(s, own_memcg(task));
	send_stack();
	send_victim(s, c);
	return 0;
}

static __always_inline u32 marked_tid(u64 arg)
{
	if (mark_victim_has_task())
		return BPF_CORE_READ((struct task_struct *)arg, pid);
	return (u32)arg;
}

/* 3: the victim. */
static __always_inline void on_mark_in_incident(struct bpf_raw_tracepoint_args *ctx,
						struct scratch *s, struct oomkill_counters *c)
{
	u64 arg = ctx->args[0];
	struct task_struct *task = killed_task(s, arg);

	if (!task) {
		c->marks++;
		return;
	}
	take_stack(ctx, s);
	send_kill((u64)task, marked_tid(arg));
}

/* 4: no more victims. */
static __always_inline int on_oom_kill_process_return(void)
{
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();
	struct oomkill_header end = {};

	if (!s || !c || s->owner != current_tid())
		return 0;
	s->owner = 0;
	if (s->group_id) {
		fill_header(&end, c, OOMKILL_END, sizeof(end));
		send(c, &end, sizeof(end));
	}
	return 0;
}

#endif /* INCIDENT_BPF_H */

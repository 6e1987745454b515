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

/* Further victims of a group come within this time. */
#define GROUP_GAP_NS (500 * NS_PER_MS)

/* The kernel told only the pid of another process. */
static __always_inline void send_pid_only(struct scratch *s, struct oomkill_counters *c, u32 pid)
{
	begin_incident(s, c);
	s->record.flags |= OOMKILL_INFERRED | OOMKILL_KILL_UNSURE;
	fill_incident(s, NULL, NULL);
	no_process(&s->record.process);
	no_memcg(&s->record.victim_memcg);
	no_stat(&s->record.victim_stat);
	s->record.cmdline_size = 0;
	s->record.process.tid = pid;
	send_victim(s, c);
	s->owner = 0;
}

static __always_inline void on_mark_alone(struct scratch *s, struct oomkill_counters *c, u64 arg)
{
	struct task_struct *task = (struct task_struct *)arg;
	struct mem_cgroup *memcg, *domain;
	u64 id, kills, *seen, before, now, group;
	bool unsure = true;

	if (!mark_victim_has_task()) {
		if ((u32)arg != current_tid()) {
			send_pid_only(s, c, (u32)arg);
			return;
		}
		task = (struct task_struct *)bpf_get_current_task();
	}
	memcg = task_memcg(task);
	if (memcg) { /* NULL: cgroup_disable=memory, and no count to go by */
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
	domain = (struct mem_cgroup *)full_memcg((u64)memcg);
	group = task_group_id(task, domain);
	if (!group || group != s->group_id || s->owner != current_tid() ||
	    now - s->last_ns > GROUP_GAP_NS) {
		begin_incident(s, c);
		s->record.flags |= OOMKILL_INFERRED;
		if (!domain)
			s->record.flags |= OOMKILL_NODE_WIDE;
		fill_incident(s, domain, task);
	}
	s->record.flags &= ~OOMKILL_KILL_UNSURE;
	if (unsure)
		s->record.flags |= OOMKILL_KILL_UNSURE;
	s->last_ns = now;
	fill_stats(s, task);
	send_kill(s, c, task, marked_tid(arg));
}

#endif /* TRACEPOINT_ONLY_BPF_H */

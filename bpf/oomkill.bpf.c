// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What runs at the moment of the kill.
 *
 * The kernel's way through mm/oom_kill.c, and where this program listens:
 *
 *	out_of_memory()				0. the candidate scan begins
 *	  oom_evaluate_task(task, oc)		0. each candidate
 *	  oom_kill_process(oc, message)		1. what ran out, and who asked
 *	    __oom_kill_process(victim)		2. SIGKILL is really sent
 *	      mark_oom_victim()
 *	        tracepoint mark_victim		3. the victim; its record is sent
 *	  (oom_kill_process returns)		4. no more victims
 *
 * With memory.oom.group, 2 and 3 come again for each further victim. A task
 * that was already exiting comes to 3 without 2: a mark, not a kill.
 *
 * 0, 1, 2 and 4 are fentry programs or, where the kernel has no trampolines,
 * kprobes. Where it has neither, 3 stands alone and infers what it can.
 *
 * A program is named after its kind and the function it sits on. The kernel keeps
 * 15 characters of that, and lists show them: with the kind in front no two are
 * the same, and fentry is told from fexit, which are one type to the kernel.
 *
 * The kernel holds oom_lock all along, so one scratch element is enough; the
 * tid in it guards against the assumption ever becoming wrong.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "oomkill.h"
#include "maps.bpf.h"
#include "memcg.bpf.h"
#include "process.bpf.h"
#include "send.bpf.h"
#include "node.bpf.h"
#include "shares.bpf.h"
#include "candidates.bpf.h"
#include "incident.bpf.h"
#include "tracepoint_only.bpf.h"
#include "recorder.bpf.h"
#include "huge_page.bpf.h"
#include "reclaim.bpf.h"
#include "killers.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Whose registers the kprobes look for their arguments in, in the numbers of
 * elf.h: a mere symbol, for the loader to refuse another machine's object by.
 */
#if defined(__TARGET_ARCH_x86)
asm(".globl oomkill_machine\n.set oomkill_machine, 62"); /* EM_X86_64 */
#elif defined(__TARGET_ARCH_arm64)
asm(".globl oomkill_machine\n.set oomkill_machine, 183"); /* EM_AARCH64 */
#endif

SEC("raw_tp/mark_victim")
int mark_victim(struct bpf_raw_tracepoint_args *ctx)
{
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();

	if (s && c)
		on_mark_in_incident(ctx, s, c);
	return 0;
}

/*
 * Where it is the only hook. A program of its own, as up to v6.7 the verifier looks
 * through the functions of both ways, whichever is taken.
 */
SEC("raw_tp/mark_victim")
int mark_victim_alone(struct bpf_raw_tracepoint_args *ctx)
{
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();

	if (s && c)
		on_mark_alone(ctx, s, c);
	return 0;
}

/* Where mark_victim has only a pid, and is the only hook: whose it is. */
SEC("raw_tp/signal_generate")
int victim_of_signal(struct bpf_raw_tracepoint_args *ctx)
{
	return on_oom_signal(ctx);
}

/* Beside whichever hook: who else kills. */
SEC("raw_tp/signal_generate")
int signal_generate(struct bpf_raw_tracepoint_args *ctx)
{
	return on_signal(ctx);
}

/* Beside the recorder, where cgroups are charged for hugetlb's pages. */
SEC("raw_tp/signal_generate")
int huge_page_refused(struct bpf_raw_tracepoint_args *ctx)
{
	return on_bus_error(ctx);
}

/* Run once by the loader; from then on a timer of the kernel's runs the recorder. */
SEC("syscall")
int recorder_start(void *ctx)
{
	return start_recorder();
}

SEC("raw_tp/mm_vmscan_memcg_reclaim_begin")
int reclaim_begin(struct bpf_raw_tracepoint_args *ctx)
{
	if (reclaim_has_memcg())
		return on_reclaim_begin(ctx->args[2]);
	return on_reclaim_begin(reclaimed_for((u64)task_memcg((void *)bpf_get_current_task())));
}

SEC("raw_tp/mm_vmscan_memcg_reclaim_end")
int reclaim_end(struct bpf_raw_tracepoint_args *ctx)
{
	return on_reclaim_end();
}

/* Run by hand: what a node-wide kill would have of the node's memory, in the map node_memory. */
SEC("syscall")
int node_read(void *ctx)
{
	read_node(0, 0, GFP_HIGHMEM | GFP_MOVABLE, false);
	return 0;
}

SEC("fentry/out_of_memory")
int BPF_PROG(fentry_out_of_memory, struct oom_control *oc)
{
	return on_out_of_memory(oc);
}

SEC("fentry/oom_evaluate_task")
int BPF_PROG(fentry_oom_evaluate_task, struct task_struct *task, struct oom_control *oc)
{
	return on_oom_evaluate_task(task, oc, true);
}

SEC("fentry/oom_kill_process")
int BPF_PROG(fentry_oom_kill_process, struct oom_control *oc, const char *message)
{
	return on_oom_kill_process(oc, message);
}

SEC("fentry/__oom_kill_process")
int BPF_PROG(fentry___oom_kill_process, struct task_struct *victim)
{
	return on_kill(victim);
}

SEC("fexit/oom_kill_process")
int BPF_PROG(fexit_oom_kill_process)
{
	return on_oom_kill_process_return();
}

SEC("kprobe/out_of_memory")
int BPF_KPROBE(kprobe_out_of_memory, struct oom_control *oc)
{
	take_early_stack(ctx, oc);
	return on_out_of_memory(oc);
}

SEC("kprobe/oom_evaluate_task")
int BPF_KPROBE(kprobe_oom_evaluate_task, struct task_struct *task, struct oom_control *oc)
{
	return on_oom_evaluate_task(task, oc, false);
}

SEC("kprobe/oom_kill_process")
int BPF_KPROBE(kprobe_oom_kill_process, struct oom_control *oc, const char *message)
{
	return on_oom_kill_process(oc, message);
}

SEC("kprobe/__oom_kill_process")
int BPF_KPROBE(kprobe___oom_kill_process, struct task_struct *victim)
{
	return on_kill(victim);
}

SEC("kretprobe/oom_kill_process")
int BPF_KRETPROBE(kretprobe_oom_kill_process)
{
	return on_oom_kill_process_return();
}

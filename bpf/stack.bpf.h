/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's functions that led to the kill: what the trigger was doing. */
#ifndef STACK_BPF_H
#define STACK_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "oomkill.h"
#include "maps.bpf.h"
#include "send.bpf.h"

/* include/uapi/linux/bpf.h */
#define BPF_F_USER_STACK (1ULL << 8)
#define BPF_F_USER_BUILD_ID (1ULL << 11)

/*
 * mark_victim fires in the trigger's context, below oom_kill_process(), whatever else
 * is hooked. Once for each incident: it takes some 15 us.
 */
static __always_inline void take_stack(void *ctx, struct scratch *s)
{
	long size;

	if (s->stack_taken)
		return;
	s->stack_taken = true;
	size = bpf_get_stack(ctx, s->stack, sizeof(s->stack), 0);
	s->stack_used = size > 0 ? size / sizeof(u64) : 0;
	if (!config.stacks)
		return;
	size = bpf_get_stack(ctx, s->user_stack, sizeof(s->user_stack),
			     BPF_F_USER_STACK | BPF_F_USER_BUILD_ID);
	s->user_stack_used = size > 0 ? size / sizeof(s->user_stack[0]) : 0;
}

/*
 * kprobe: taken before oom_kill_process() is entered. The kretprobe there puts a
 * trampoline into the stack, and up to v5.13 the kernel could not look behind one.
 */
static __always_inline void take_early_stack(void *ctx, struct oom_control *oc)
{
	struct scratch *s = get_scratch();

	if (!s)
		return;
	s->stack_taken = false;
	take_stack(ctx, s);
	s->stack_of = oc;
}

/* A function of its own, so that the object's types have this struct. */
static __noinline int fill_stack(struct oomkill_stack *to, struct scratch *s)
{
	to->used = s->stack_used;
	to->pad = 0;
	bpf_probe_read_kernel(to->frames, sizeof(to->frames), s->stack);
	return 0;
}

static __noinline int fill_user_stack(struct oomkill_user_stack *to, struct scratch *s)
{
	to->used = s->user_stack_used;
	to->pad = 0;
	bpf_probe_read_kernel(to->frames, sizeof(to->frames), s->user_stack);
	return 0;
}

__noinline int send_user_stack(void)
{
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();
	struct oomkill_user_stack *to;

	if (!s || !c || !s->user_stack_used)
		return 0;
	to = bpf_ringbuf_reserve(&ring, sizeof(*to), 0);
	if (to) {
		fill_header(&to->header, c, OOMKILL_USER_STACK, sizeof(*to));
		fill_user_stack(to, s);
		bpf_ringbuf_submit(to, BPF_RB_NO_WAKEUP);
	}
	s->user_stack_used = 0;
	return 0;
}

/* A section of its own: .rodata is the loader's to fill in. */
static const char symbol_format[] SEC(".rodata.symbol") = "%ps";

/* A call may be a function's last instruction, and what it returns to the next function's. */
__noinline int name_frame(u64 i)
{
	struct scratch *s = get_scratch();
	u64 address;

	if (!s || i >= OOMKILL_STACK_DEPTH)
		return 0;
	address = s->stack[i] - 1;
	if (kernel_has_snprintf())
		bpf_snprintf(&s->names.names[i * OOMKILL_SYMBOL_LEN], OOMKILL_SYMBOL_LEN,
			     symbol_format, &address, sizeof(address));
	return 0;
}

/* By bpf_snprintf() since v5.13: the kernel looks up names for whoever asks from within. */
__noinline int send_names(void)
{
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();
	u32 i;

	if (!s || !c || !kernel_has_snprintf())
		return 0;
	for (i = 0; i < OOMKILL_STACK_DEPTH; i++) {
		if (i >= s->stack_used)
			break;
		name_frame(i);
	}
	fill_header(&s->names.header, c, OOMKILL_STACK_NAMES, sizeof(s->names));
	s->names.used = s->stack_used;
	s->names.pad = 0;
	bpf_ringbuf_output(&ring, &s->names, sizeof(s->names), BPF_RB_NO_WAKEUP);
	return 0;
}

/*
 * Sent ahead of an incident's first victim, and wakes nobody; where there is little
 * room, the victim's record goes without.
 */
__noinline int send_stack(void)
{
	struct oomkill_counters *c = get_counters();
	struct scratch *s = get_scratch();
	struct oomkill_stack *to;

	if (!s || !c || !s->stack_used)
		return 0;
	if (is_nearly_full()) {
		s->stack_used = s->user_stack_used = 0;
		return 0;
	}
	to = config.names ? NULL : bpf_ringbuf_reserve(&ring, sizeof(*to), 0);
	if (config.names) {
		send_names();
	} else if (to) {
		fill_header(&to->header, c, OOMKILL_STACK, sizeof(*to));
		fill_stack(to, s);
		bpf_ringbuf_submit(to, BPF_RB_NO_WAKEUP);
	}
	s->stack_used = 0;
	if (config.stacks)
		send_user_stack();
	return 0;
}

#endif /* STACK_BPF_H */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers single questions from a kernel's types (BTF) where they lie. libbpf
 * would first make an index of all of them: 40 ms of CPU time and 11 MiB.
 */
#include <unistd.h>

#include <bpf/bpf.h>

/* The number of the one of this kind and name, and itself; 0: there is none. */
static uint32_t kernel_type(struct subset *s, const void *kernel, uint32_t kernel_size,
			    uint32_t kind, const char *name, const struct btf_type **found)
{
	uint32_t at = 0, number = 0;

	if (subset_sections(s, kernel, kernel_size))
		return 0;
	while (s->types_size - at >= sizeof(**found)) {
		const struct btf_type *type = (const struct btf_type *)(s->types + at);
		int64_t extra = subset_extra(type);

		if (extra < 0 || type->name_off >= s->strings_size ||
		    (uint64_t)extra > s->types_size - at - sizeof(*type))
			return 0;
		number++;
		if (SUBSET_KIND(type->info) == kind && !strcmp(s->strings + type->name_off, name)) {
			*found = type;
			return number;
		}
		at += sizeof(*type) + extra;
	}
	return 0;
}

static bool oomkill_has_member(const void *kernel, uint32_t kernel_size, const char *name,
			       const char *member)
{
	const struct btf_type *type;
	const struct btf_member *members;
	struct subset s = {};
	uint32_t i;

	if (!kernel_type(&s, kernel, kernel_size, BTF_KIND_STRUCT, name, &type))
		return false;
	members = (const struct btf_member *)(type + 1);
	for (i = 0; i < SUBSET_COUNT(type->info); i++) {
		if (members[i].name_off < s.strings_size &&
		    !strcmp(s.strings + members[i].name_off, member))
			return true;
	}
	return false;
}

/*
 * Whether the kernel takes a program for the entry of a function, with the
 * smallest one there is. -ENOENT: no such function here.
 */
static int oomkill_takes_fentry(const void *kernel, uint32_t kernel_size, const char *function)
{
	const struct bpf_insn return_0[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FENTRY);
	const struct btf_type *type;
	struct subset s = {};
	int program;

	options.attach_btf_id =
		kernel_type(&s, kernel, kernel_size, BTF_KIND_FUNC, function, &type);
	if (!options.attach_btf_id)
		return -ENOENT;
	program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "oomkill_try", "GPL", return_0, 2, &options);
	if (program < 0)
		return 0;
	close(program);
	return 1;
}

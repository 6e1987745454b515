/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a kernel's types (BTF) and an object's, gives those of the kernel's
 * that the object has by name, with what lies in them by value.
 *
 * To relocate an object libbpf goes through all of a kernel's types, some
 * 150,000, once for each of the object's own: three quarters of the time it
 * takes to attach. With these few it finds the same at once. What a pointer
 * points to is left out, for a relocation never goes through one.
 *
 * The format is that of Documentation/bpf/btf.rst. What later kernels have made
 * longer or wider is not taken from linux/btf.h: it would be as old, or as new,
 * as the headers of whatever machine this was built on.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>
#include <linux/btf.h>

/* A header without what came later; its own hdr_len says where it ends. */
#define SUBSET_HEADER_SIZE (offsetof(struct btf_header, str_len) + sizeof(uint32_t))

/* Older kernels use 5 of these 7 bits for the kind and 16 of 24 for the count, the others are 0. */
#define SUBSET_KIND(info) ((info) >> 24 & 0x7f)
#define SUBSET_COUNT(info) ((info)&0xffffff)

struct subset {
	const char *types; /* the kernel's, one behind the other */
	uint32_t types_size;
	const char *strings;
	uint32_t strings_size;
	uint32_t *offsets; /* in types, by the kernel's number; number 0 is void */
	uint32_t count;
	uint32_t *numbers; /* in the subset, by the kernel's number; 0: not in it */
	uint32_t *chosen; /* the kernel's numbers, in the subset's order */
	uint32_t chosen_count;
	char *out; /* the subset's types */
	uint32_t out_size;
	char *out_strings;
	uint32_t out_strings_size;
};

static const struct btf_type *subset_type(const struct subset *s, uint32_t number)
{
	return (const struct btf_type *)(s->types + s->offsets[number]);
}

/* What stands behind a struct btf_type, in bytes; -EINVAL for a kind that is not known. */
static int64_t subset_extra(const struct btf_type *type)
{
	uint32_t many = SUBSET_COUNT(type->info);

	switch (SUBSET_KIND(type->info)) {
	case BTF_KIND_FWD:
	case BTF_KIND_PTR:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return sizeof(uint32_t);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return many * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return many * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return many * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return many * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return many * sizeof(struct btf_var_secinfo);
	default:
		return -EINVAL;
	}
}

static bool subset_has_name(uint32_t kind)
{
	return kind == BTF_KIND_STRUCT || kind == BTF_KIND_UNION || kind == BTF_KIND_ENUM ||
	       kind == BTF_KIND_ENUM64 || kind == BTF_KIND_TYPEDEF;
}

static int subset_compare(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* The names of the object's types, sorted, without their flavours: "mem_cgroup___old". */
static int subset_wanted(const struct btf *object, char ***names, uint32_t *count)
{
	uint32_t number, all = btf__type_cnt(object);

	*count = 0;
	*names = calloc(all, sizeof(**names));
	if (!*names)
		return -ENOMEM;
	for (number = 1; number < all; number++) {
		const struct btf_type *type = btf__type_by_id(object, number);
		const char *name = btf__name_by_offset(object, type->name_off);
		char *kept, *flavour;

		if (!subset_has_name(SUBSET_KIND(type->info)) || !name || !*name)
			continue;
		kept = strdup(name);
		if (!kept)
			return -ENOMEM;
		flavour = strstr(kept, "___");
		if (flavour && flavour != kept)
			*flavour = 0;
		(*names)[(*count)++] = kept;
	}
	qsort(*names, *count, sizeof(**names), subset_compare);
	return 0;
}

/* Takes a type into the subset, once; returns its number there. */
static uint32_t subset_choose(struct subset *s, uint32_t number)
{
	if (number && !s->numbers[number]) {
		uint32_t kind = SUBSET_KIND(subset_type(s, number)->info);

		if (kind == BTF_KIND_FUNC_PROTO) /* a typedef of a function: no data */
			return 0;
		s->chosen[s->chosen_count++] = number;
		s->numbers[number] = s->chosen_count;
	}
	return s->numbers[number];
}

/* Where each type is, and which are wanted by name. */
static int subset_scan(struct subset *s, char **names, uint32_t names_count)
{
	uint32_t at = 0;

	while (at < s->types_size) {
		const struct btf_type *type = (const struct btf_type *)(s->types + at);
		const char *name;
		int64_t extra;

		if (s->types_size - at < sizeof(*type))
			return -EINVAL;
		extra = subset_extra(type);
		if (extra < 0 || (uint64_t)extra > s->types_size - at - sizeof(*type))
			return -EINVAL;
		if (type->name_off >= s->strings_size)
			return -EINVAL;
		s->offsets[++s->count] = at;
		at += sizeof(*type) + extra;
		name = s->strings + type->name_off;
		if (!*name || !subset_has_name(SUBSET_KIND(type->info)))
			continue;
		if (bsearch(&name, names, names_count, sizeof(*names), subset_compare))
			subset_choose(s, s->count);
	}
	return 0;
}

/* Moves a name over; its place in the subset's strings. */
static int subset_name(struct subset *s, uint32_t *name_off)
{
	const char *name = s->strings + *name_off;
	size_t size;

	if (*name_off >= s->strings_size)
		return -EINVAL;
	if (!*name) {
		*name_off = 0;
		return 0;
	}
	size = strlen(name) + 1;
	/* Members share names, so all of them may take more room than the kernel's did. */
	if (size > s->strings_size - s->out_strings_size)
		return -E2BIG;
	memcpy(s->out_strings + s->out_strings_size, name, size);
	*name_off = s->out_strings_size;
	s->out_strings_size += size;
	return 0;
}

static int subset_reference(struct subset *s, uint32_t *number)
{
	if (*number > s->count)
		return -EINVAL;
	*number = subset_choose(s, *number);
	return 0;
}

/* Copies a type, and takes those it consists of into the subset. */
static int subset_copy(struct subset *s, uint32_t number)
{
	const struct btf_type *from = subset_type(s, number);
	struct btf_type *to = (struct btf_type *)(s->out + s->out_size);
	uint32_t size = sizeof(*from) + subset_extra(from);
	uint32_t i, many = SUBSET_COUNT(from->info);
	int error;

	memcpy(to, from, size);
	s->out_size += size;
	error = subset_name(s, &to->name_off);
	switch (SUBSET_KIND(from->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_FLOAT:
	case BTF_KIND_FWD:
		return error;
	case BTF_KIND_PTR:
		to->type = 0;
		return error;
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		return error ?: subset_reference(s, &to->type);
	case BTF_KIND_ARRAY: {
		struct btf_array *array = (struct btf_array *)(to + 1);

		error = error ?: subset_reference(s, &array->type);
		return error ?: subset_reference(s, &array->index_type);
	}
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION: {
		struct btf_member *members = (struct btf_member *)(to + 1);

		for (i = 0; i < many && !error; i++) {
			error = subset_name(s, &members[i].name_off);
			error = error ?: subset_reference(s, &members[i].type);
		}
		return error;
	}
	case BTF_KIND_ENUM: {
		struct btf_enum *values = (struct btf_enum *)(to + 1);

		for (i = 0; i < many && !error; i++)
			error = subset_name(s, &values[i].name_off);
		return error;
	}
	case BTF_KIND_ENUM64: {
		struct btf_enum64 *values = (struct btf_enum64 *)(to + 1);

		for (i = 0; i < many && !error; i++)
			error = subset_name(s, &values[i].name_off);
		return error;
	}
	default:
		return -EINVAL; /* nothing that consists of data refers to one */
	}
}

/* Sees to it that all that follows stays inside the kernel's types. */
static int subset_sections(struct subset *s, const void *data, uint32_t size)
{
	const struct btf_header *header = data;
	uint32_t left;

	if (size < SUBSET_HEADER_SIZE || header->magic != BTF_MAGIC || header->hdr_len > size ||
	    header->hdr_len < SUBSET_HEADER_SIZE)
		return -EINVAL;
	left = size - header->hdr_len;
	if (header->type_off > left || header->type_len > left - header->type_off ||
	    header->type_off % 4 || header->hdr_len % 4 || header->str_off > left ||
	    header->str_len > left - header->str_off || !header->str_len)
		return -EINVAL;
	s->types = (const char *)data + header->hdr_len + header->type_off;
	s->types_size = header->type_len;
	s->strings = (const char *)data + header->hdr_len + header->str_off;
	s->strings_size = header->str_len;
	return s->strings[s->strings_size - 1] ? -EINVAL : 0;
}

static void *subset_whole(const struct subset *s, uint32_t *size)
{
	struct btf_header header = {
		.magic = BTF_MAGIC,
		.version = BTF_VERSION,
		.hdr_len = SUBSET_HEADER_SIZE,
		.type_len = s->out_size,
		.str_off = s->out_size,
		.str_len = s->out_strings_size,
	};
	uint32_t types = SUBSET_HEADER_SIZE, strings = types + s->out_size;
	char *whole = malloc(strings + s->out_strings_size);

	if (!whole)
		return NULL;
	memcpy(whole, &header, SUBSET_HEADER_SIZE);
	memcpy(whole + types, s->out, s->out_size);
	memcpy(whole + strings, s->out_strings, s->out_strings_size);
	*size = strings + s->out_strings_size;
	return whole;
}

/*
 * Gives the subset, to be freed, and its size. -EINVAL: the kernel's types are
 * damaged, or of a kind that came later than this program.
 */
static int oomkill_core_types(const void *kernel, uint32_t kernel_size, const struct btf *object,
			      void **subset, uint32_t *size)
{
	uint32_t i, names_count = 0;
	struct subset s = {};
	char **names = NULL;
	int error;

	error = subset_sections(&s, kernel, kernel_size);
	error = error ?: subset_wanted(object, &names, &names_count);
	if (!error) {
		uint32_t most = s.types_size / sizeof(struct btf_type) + 1;

		s.offsets = calloc(most, sizeof(*s.offsets));
		s.numbers = calloc(most, sizeof(*s.numbers));
		s.chosen = calloc(most, sizeof(*s.chosen));
		s.out = malloc(s.types_size + 1);
		s.out_strings = calloc(1, s.strings_size);
		s.out_strings_size = 1; /* the first is empty */
		if (!s.offsets || !s.numbers || !s.chosen || !s.out || !s.out_strings)
			error = -ENOMEM;
	}
	error = error ?: subset_scan(&s, names, names_count);
	for (i = 0; i < s.chosen_count && !error; i++) /* grows meanwhile */
		error = subset_copy(&s, s.chosen[i]);
	if (!error) {
		*subset = subset_whole(&s, size);
		if (!*subset)
			error = -ENOMEM;
	}
	for (i = 0; i < names_count; i++)
		free(names[i]);
	free(names);
	free(s.offsets);
	free(s.numbers);
	free(s.chosen);
	free(s.out);
	free(s.out_strings);
	return error;
}

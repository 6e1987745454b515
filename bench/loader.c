/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What attaching costs without Python: loads the same programs of the same BPF
 * object with libbpf, attaches them, starts the flight recorder, says so and waits.
 *
 * loader OBJECT CONSTANTS TYPES PROGRAM...: the constants are struct oomkill_config
 * as bytes, the types those of the kernel that libbpf is to read, "" for all. A
 * program of the kind that is only run by hand is run once, the others are attached.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int start(struct bpf_program *program)
{
	LIBBPF_OPTS(bpf_test_run_opts, run);

	if (bpf_program__type(program) != BPF_PROG_TYPE_SYSCALL)
		return bpf_program__attach(program) ? 0 : fail("attach");
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &run) || run.retval)
		return fail("run");
	return 0;
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_object_open_opts, options);
	struct bpf_program *program;
	struct bpf_object *object;
	char constants[4096];
	ssize_t size;
	int file, i;

	if (argc < 5)
		return 2;
	options.btf_custom_path = *argv[3] ? argv[3] : NULL;
	object = bpf_object__open_file(argv[1], &options);
	if (!object)
		return fail("open");
	bpf_object__for_each_program(program, object) bpf_program__set_autoload(program, false);
	for (i = 4; i < argc; i++) {
		program = bpf_object__find_program_by_name(object, argv[i]);
		if (!program)
			return fail(argv[i]);
		bpf_program__set_autoload(program, true);
	}
	file = open(argv[2], O_RDONLY);
	size = read(file, constants, sizeof(constants));
	if (size < 0 || bpf_map__set_initial_value(bpf_object__find_map_by_name(object, ".rodata"),
						   constants, (size_t)size))
		return fail("constants");
	if (bpf_object__load(object))
		return fail("load");
	for (i = 4; i < argc; i++)
		if (start(bpf_object__find_program_by_name(object, argv[i])))
			return 1;
	fputs("attached with libbpf alone\n", stderr);
	pause();
	return 0;
}

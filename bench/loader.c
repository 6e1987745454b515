/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What attaching costs without Python: loads the same BPF object with libbpf,
 * attaches the raw tracepoint, starts the flight recorder, says so and waits.
 *
 * loader OBJECT CONSTANTS [TYPES]: the constants are struct oomkill_config as
 * bytes, the types those of the kernel that libbpf is to read, default all.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define HOOK "mark_victim"
#define RECORDER "recorder_start"

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_object_open_opts, options);
	LIBBPF_OPTS(bpf_test_run_opts, run);
	struct bpf_program *program;
	struct bpf_object *object;
	char constants[4096];
	ssize_t size;
	int file;

	if (argc < 3)
		return 2;
	options.btf_custom_path = argc > 3 ? argv[3] : NULL;
	object = bpf_object__open_file(argv[1], &options);
	if (!object)
		return fail("open");
	bpf_object__for_each_program(program, object)
	{
		const char *name = bpf_program__name(program);

		bpf_program__set_autoload(program, !strcmp(name, HOOK) || !strcmp(name, RECORDER));
	}
	file = open(argv[2], O_RDONLY);
	size = read(file, constants, sizeof(constants));
	if (size < 0 || bpf_map__set_initial_value(bpf_object__find_map_by_name(object, ".rodata"),
						   constants, (size_t)size))
		return fail("constants");
	if (bpf_object__load(object))
		return fail("load");
	if (!bpf_program__attach(bpf_object__find_program_by_name(object, HOOK)))
		return fail("attach");
	program = bpf_object__find_program_by_name(object, RECORDER);
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &run) || run.retval)
		return fail("start the recorder");
	fputs("attached with libbpf alone\n", stderr);
	pause();
	return 0;
}

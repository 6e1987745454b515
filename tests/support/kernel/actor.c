/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container and who kills in it: does what its arguments say, one after another.
 *
 *	name NAME	be called so
 *	namespace	go on as PID 1 of a PID namespace, whose pid is printed for the outside
 *	enter FILE	go into the cgroup that has this cgroup.procs
 *	children N	start N, who wait
 *	ready		print "ready"
 *	go		wait for a line
 *	signal PID N	send one
 *	kill		kill the latest child
 *	storm N		start one and kill it, N times
 *	exit N
 *	wait		for ever
 */
#define _GNU_SOURCE
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char **next;
static pid_t latest;

static const char *word(void)
{
	if (!*next)
		errx(2, "a word is missing");
	return *next++;
}

static long number(void)
{
	return atol(word());
}

static pid_t start_child(void)
{
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	if (!child)
		for (;;)
			pause();
	return child;
}

static int wait_for_end(void *unused)
{
	while (pause())
		;
	return unused != NULL;
}

/* Without memory of its own, which takes longest to make and to take away. */
static pid_t start_light_child(void)
{
	static char stack[1 << 14] __attribute__((aligned(16)));
	pid_t child = clone(wait_for_end, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);

	if (child < 0)
		err(1, "clone");
	return child;
}

static void end(pid_t child)
{
	if (kill(child, SIGKILL) || waitpid(child, NULL, 0) != child)
		err(1, "kill a child");
}

/* Whoever waits for it outside passes on how it ended, and takes it along. */
static void enter_namespace(void)
{
	int told[2], status;
	pid_t child;
	char byte;

	if (pipe(told) || unshare(CLONE_NEWPID))
		err(1, "make a PID namespace");
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (child) {
		printf("%d\n", child);
		fflush(stdout);
		close(told[0]);
		close(told[1]);
		waitpid(child, &status, 0);
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(told[1]);
	if (read(told[0], &byte, 1)) /* until its pid is printed */
		errx(1, "not told");
	close(told[0]);
}

static void enter_cgroup(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs("0", file) < 0 || fclose(file))
		err(1, "%s", path);
}

int main(int argc, char **argv)
{
	next = argv + 1;
	while (*next) {
		const char *what = word();

		if (!strcmp(what, "name")) {
			prctl(PR_SET_NAME, word());
		} else if (!strcmp(what, "namespace")) {
			enter_namespace();
		} else if (!strcmp(what, "enter")) {
			enter_cgroup(word());
		} else if (!strcmp(what, "children")) {
			for (long left = number(); left; left--)
				latest = start_child();
		} else if (!strcmp(what, "ready")) {
			puts("ready");
			fflush(stdout);
		} else if (!strcmp(what, "go")) {
			while (getchar() != '\n')
				if (feof(stdin))
					return 1;
		} else if (!strcmp(what, "signal")) {
			pid_t pid = number();

			if (kill(pid, number()))
				err(1, "signal %d", pid);
		} else if (!strcmp(what, "kill")) {
			end(latest);
		} else if (!strcmp(what, "storm")) {
			for (long left = number(); left; left--)
				end(start_light_child());
		} else if (!strcmp(what, "exit")) {
			return number();
		} else if (!strcmp(what, "wait")) {
			for (;;)
				pause();
		} else {
			errx(2, "what is %s", what);
		}
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What C has allocated and Python is to give back. */
#include <malloc.h>
#include <stdlib.h>

/* libbpf frees the kernel's types, 10 MiB as it keeps them; this gives them back for good. */
static void oomkill_heap_trim(void)
{
	malloc_trim(0);
}

static void oomkill_heap_free(void *memory)
{
	free(memory);
}

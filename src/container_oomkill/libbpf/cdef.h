/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is used of libbpf (1.1 and newer) and of the C files beside this one, for cffi. "..."
 * is filled in by the C compiler from libbpf's own headers.
 */

/* bpf/libbpf.h */

const char *libbpf_version_string(void);
int libbpf_num_possible_cpus(void);
int libbpf_strerror(int err, char *buf, size_t size);

struct bpf_object_open_opts {
	size_t sz;
	const char *object_name;
	const char *btf_custom_path;
	...;
};

struct bpf_object *bpf_object__open_mem(const void *obj_buf, size_t obj_buf_sz,
					const struct bpf_object_open_opts *opts);
struct btf *bpf_object__btf(const struct bpf_object *obj);
int bpf_object__load(struct bpf_object *obj);
void bpf_object__close(struct bpf_object *obj);

struct bpf_program *bpf_object__find_program_by_name(const struct bpf_object *obj,
						     const char *name);
struct bpf_program *bpf_object__next_program(const struct bpf_object *obj,
					     struct bpf_program *prog);
const char *bpf_program__name(const struct bpf_program *prog);
int bpf_program__set_autoload(struct bpf_program *prog, bool autoload);
struct bpf_link *bpf_program__attach(const struct bpf_program *prog);
int bpf_program__fd(const struct bpf_program *prog);
int bpf_link__pin(struct bpf_link *link, const char *path);
int bpf_link__fd(const struct bpf_link *link);
void bpf_link__disconnect(struct bpf_link *link);
int bpf_link__destroy(struct bpf_link *link);

enum bpf_map_type { BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_LRU_HASH, ... };

struct bpf_map *bpf_object__find_map_by_name(const struct bpf_object *obj, const char *name);
struct bpf_map *bpf_object__next_map(const struct bpf_object *obj, const struct bpf_map *map);
const char *bpf_map__name(const struct bpf_map *map);
enum bpf_map_type bpf_map__type(const struct bpf_map *map);
bool bpf_map__is_internal(const struct bpf_map *map);
int bpf_map__fd(const struct bpf_map *map);
int bpf_map__set_autocreate(struct bpf_map *map, bool autocreate);
int bpf_map__reuse_fd(struct bpf_map *map, int fd);
uint32_t bpf_map__max_entries(const struct bpf_map *map);
int bpf_map__set_max_entries(struct bpf_map *map, uint32_t max_entries);
int bpf_map__set_initial_value(struct bpf_map *map, const void *data, size_t size);

/* bpf/bpf.h */

int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags);
int bpf_obj_pin(int fd, const char *pathname);
int bpf_obj_get(const char *pathname);
int bpf_obj_get_info_by_fd(int bpf_fd, void *info, uint32_t *info_len);

struct bpf_test_run_opts {
	size_t sz;
	uint32_t retval;
	...;
};

int bpf_prog_test_run_opts(int prog_fd, struct bpf_test_run_opts *opts);

struct bpf_map_info {
	uint32_t max_entries;
	...;
};

struct bpf_map_create_opts {
	size_t sz;
	uint32_t map_flags;
	...;
};

int bpf_map_create(enum bpf_map_type map_type, const char *map_name, uint32_t key_size,
		   uint32_t value_size, uint32_t max_entries,
		   const struct bpf_map_create_opts *opts);

#define BPF_NOEXIST ...
#define BPF_F_MMAPABLE ...

/* bpf/btf.h */

struct btf *btf__new(const void *data, uint32_t size);
void btf__free(struct btf *btf);
int32_t btf__find_by_name_kind(const struct btf *btf, const char *type_name, uint32_t kind);
#define BTF_KIND_STRUCT ...
const char *btf__name_by_offset(const struct btf *btf, uint32_t offset);
const struct btf_type *btf__type_by_id(const struct btf *btf, uint32_t id);

struct btf_type {
	uint32_t name_off;
	uint32_t size;
	...;
};

struct btf_member {
	uint32_t name_off;
	...;
};

uint16_t btf_vlen(const struct btf_type *t);
struct btf_member *btf_members(const struct btf_type *t);
uint32_t btf_member_bit_offset(const struct btf_type *t, uint32_t member_idx);

/* log.c */

void oomkill_log_capture(bool debug);
size_t oomkill_log_take(char *to, size_t size);

/* heap.c */

void oomkill_heap_trim(void);
void oomkill_heap_free(void *memory);

/* ringbuf.c */

struct oomkill_ring {
	size_t size;
	...;
};

int oomkill_ring_open(struct oomkill_ring *ring, int map_fd, size_t size);
void oomkill_ring_close(struct oomkill_ring *ring);
unsigned long oomkill_ring_start(const struct oomkill_ring *ring);
unsigned long oomkill_ring_end(const struct oomkill_ring *ring);
int oomkill_ring_next(const struct oomkill_ring *ring, unsigned long *position, const void **record,
		      uint32_t *size);
void oomkill_ring_release(struct oomkill_ring *ring, unsigned long position);

/* core_types.c */

int oomkill_core_types(const void *kernel, uint32_t kernel_size, const struct btf *object,
		       void **subset, uint32_t *size);

/* kernel_types.c */

bool oomkill_has_member(const void *kernel, uint32_t kernel_size, const char *name,
			const char *member);
int oomkill_takes_fentry(const void *kernel, uint32_t kernel_size, const char *function);

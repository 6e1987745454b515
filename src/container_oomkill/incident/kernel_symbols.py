# SPDX-License-Identifier: Apache-2.0
"""The kernel's functions that tell what a trigger was doing, of kernels from 5.8 on.

The one table: whoever reads the kernel's addresses looks for these only, a record's
``trigger.stack`` has these only, and `diagnosis` concludes ``trigger.by`` from them. A function
that a kernel has inlined, renamed or never had is not found there, so each way has several. They
are functions that the compiler keeps: others call them through a pointer or from another file.
"""

from __future__ import annotations

PAGE_FAULT = "page_fault"
FILE_READ = "file_read"
FILE_WRITE = "file_write"
TMPFS = "tmpfs"
SOCKET = "socket"
FORK = "fork"
KERNEL = "kernel"
LIMIT_WRITE = "limit_write"
SYSRQ = "sysrq"
BY = (PAGE_FAULT, FILE_READ, FILE_WRITE, TMPFS, SOCKET, FORK, KERNEL, LIMIT_WRITE, SYSRQ)

# What proves nothing alone. A page cache page is read or written by whoever called for it; a kernel
# object may be one of a page fault's, a file's or a socket's.
PAGE_CACHE = "page cache"
READS = "reads"
WRITES = "writes"
OBJECT = "object"

_FUNCTIONS = {
    SYSRQ: "moom_callback",
    # cgroup v2's memory.max; v1's limit_in_bytes.
    LIMIT_WRITE: "memory_max_write mem_cgroup_resize_max mem_cgroup_resize_limit",
    TMPFS: "shmem_fault shmem_write_begin shmem_fallocate shmem_file_read_iter shmem_get_folio"
    " shmem_getpage shmem_read_mapping_page_gfp shmem_read_folio_gfp shmem_symlink",
    FILE_READ: "filemap_fault filemap_read generic_file_buffered_read generic_file_read_iter"
    " filemap_splice_read generic_file_splice_read page_cache_sync_ra page_cache_async_ra"
    " page_cache_sync_readahead page_cache_async_readahead page_cache_ra_unbounded"
    " force_page_cache_ra force_page_cache_readahead read_cache_page read_cache_folio"
    " dax_iomap_fault",
    FILE_WRITE: "generic_perform_write iomap_file_buffered_write iomap_page_mkwrite"
    " block_page_mkwrite filemap_page_mkwrite fault_dirty_shared_page vfs_fallocate",
    PAGE_FAULT: "handle_mm_fault do_anonymous_page do_swap_page pagefault_out_of_memory"
    " exc_page_fault asm_exc_page_fault do_page_fault do_mem_abort do_translation_fault",
    SOCKET: "sock_sendmsg __sock_sendmsg sock_sendmsg_nosec sock_write_iter sock_recvmsg"
    " sock_read_iter __sys_sendto __sys_sendmsg __sys_sendmmsg __sys_recvfrom __sys_recvmsg"
    " unix_stream_sendmsg unix_dgram_sendmsg tcp_sendmsg udp_sendmsg udpv6_sendmsg"
    " netlink_sendmsg packet_sendmsg mem_cgroup_charge_skmem mem_cgroup_sk_charge",
    FORK: "copy_process kernel_clone",
    PAGE_CACHE: "filemap_add_folio add_to_page_cache_lru add_to_page_cache_locked"
    " __add_to_page_cache_locked __filemap_add_folio",
    READS: "vfs_read vfs_readv vfs_iter_read do_splice_to vfs_splice_read do_iter_read",
    WRITES: "vfs_write vfs_writev vfs_iter_write do_iter_write iter_file_splice_write",
    OBJECT: "obj_cgroup_charge obj_cgroup_charge_pages __memcg_kmem_charge"
    " __memcg_kmem_charge_page __memcg_slab_post_alloc_hook memcg_charge_kernel_stack"
    " kmem_cache_alloc kmem_cache_alloc_noprof kmem_cache_alloc_lru kmem_cache_alloc_lru_noprof"
    " kmem_cache_alloc_node kmem_cache_alloc_node_noprof kmem_cache_alloc_bulk"
    " kmem_cache_alloc_bulk_noprof __kmalloc __kmalloc_noprof __kmalloc_node"
    " __kmalloc_node_noprof __kmalloc_large_node __kmalloc_large_node_noprof kmalloc_order"
    " __kmalloc_cache_noprof kmem_cache_alloc_trace kmalloc_trace kvmalloc_node"
    " __kvmalloc_node_noprof __vmalloc_node_range __vmalloc_node_range_noprof pipe_write"
    " anon_pipe_write",
}

ROLES: dict[str, str] = {name: role for role, names in _FUNCTIONS.items() for name in names.split()}

/* The files of a cgroup: numbers, lines of `key number`, and what is written into them
 * (Documentation/admin-guide/cgroup-v2.rst, "Conventions", and cgroup-v1/memory.rst). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CGROUP_NO_LIMIT UINT64_MAX /* "max"; in v1's memory "-1", read as a number near 2^63 */

/* One write(2), as the kernel takes a value. 0 or -errno. */
int cgroup_file_write(const char *path, const char *text);
int cgroup_file_write_in(const char *folder, const char *file, const char *text);
int cgroup_file_write_number(const char *path, uint64_t number);

/* 0 with the number, or -errno. */
int cgroup_file_read_number(const char *path, uint64_t *ret);

/* The numbers behind these keys, each at the start of a line: `ret` has as many, all of one
 * reading, since each costs the kernel a walk. What cannot be read, or is not there, is 0. */
void cgroup_file_read_keys(const char *path, const char *const *keys, size_t n_keys, uint64_t *ret);

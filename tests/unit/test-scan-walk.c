/* daemon/scan/walk: names longer than NAME_MAX, as vfat can have; everything else is tried with
 * real folders, by test_planted.py and test_planted_tricks.py. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "planted-kind.h"
#include "util.h"

#define LENGTH 765

static size_t n_lists, n_opened, n_found;

/* The workspace has one name, of a folder, and nothing else is in any folder. */
static ssize_t list_one(int fd, void *buffer, size_t size)
{
    struct dirent64 *entry = buffer;
    const size_t used = offsetof(struct dirent64, d_name) + LENGTH + 1;

    if (n_lists++ > 0)
        return 0;
    assert_true(size >= used);
    memset(buffer, 0, used);
    entry->d_reclen = (unsigned short)used;
    entry->d_type = DT_DIR;
    memset((char *)buffer + offsetof(struct dirent64, d_name), 'x', LENGTH);
    return (ssize_t)used;
}

static int open_any(int folder, const char *name, int flags)
{
    n_opened++;
    return open("/", flags);
}

#define getdents64 list_one
#define openat open_any
#include "../../daemon/scan/walk.c"

bool output_found(enum planted_kind kind, enum planted_change change, const char *path)
{
    n_found++;
    return true;
}

static void a_name_that_is_too_long_is_told_and_left(void **state)
{
    const struct walk_options options = {.since = {.tv_sec = INT32_MAX}};

    assert_int_equal(walk(&options), SCAN_FAILED);
    assert_int_equal(n_opened, 1);
    assert_int_equal(n_found, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_is_too_long_is_told_and_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

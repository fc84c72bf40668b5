/* daemon/scan/walk: names longer than NAME_MAX, as vfat can have, and a flood; everything else is
 * tried with real folders, by test_planted.py and test_planted_tricks.py. */
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

/* The names at the top; the folder "flood" has no end of names in it, every other none. */
static const char *const *top_names;
static size_t n_listed, n_opened, n_found;
static int flood = -1;

static size_t put(char *buffer, const char *name, unsigned char type)
{
    const size_t start = offsetof(struct dirent64, d_name), size = (start + strlen(name) + 8) & ~7u;
    struct dirent64 *entry = (struct dirent64 *)(void *)buffer;

    memset(buffer, 0, size);
    entry->d_reclen = (unsigned short)size;
    entry->d_type = type;
    memcpy(buffer + start, name, strlen(name));
    return size;
}

static ssize_t list(int fd, void *buffer, size_t size)
{
    assert_true(size >= 1024);
    if (fd == flood)
        return (ssize_t)put(buffer, "x", DT_REG);
    if (!top_names[n_listed])
        return 0;
    const char *name = top_names[n_listed++];
    return (ssize_t)put(buffer, name, name[0] == '.' ? DT_REG : DT_DIR);
}

static int open_any(int folder, const char *name, int flags)
{
    int fd = open("/", flags);

    n_opened++;
    if (streq(name, "."))
        n_listed = 0;
    else if (streq(name, "flood"))
        flood = fd;
    return fd;
}

/* Everything is as new as can be, and nothing is a git folder. */
static int look_at(int folder, const char *name, int flags, unsigned mask, struct statx *ret)
{
    if (streq(name, "HEAD"))
        return -1;
    *ret = (struct statx){.stx_mode = S_IFREG | 0644, .stx_ctime = {.tv_sec = INT32_MAX}};
    return 0;
}

#define getdents64 list
#define openat open_any
#define statx(...) look_at(__VA_ARGS__)
#include "../../daemon/scan/walk.c"

bool output_found(enum planted_kind kind, enum planted_change change, const char *path)
{
    n_found++;
    return true;
}

static enum scan_result walk_through(const char *const *at_the_top)
{
    const struct walk_options options = {.since = {.tv_sec = INT32_MAX}};

    top_names = at_the_top;
    n_opened = n_found = 0;
    memset(&w, 0, sizeof(w));
    return walk(&options);
}

static void a_name_that_is_too_long_is_told_and_left(void **state)
{
    char name[765 + 1];
    const char *const at_the_top[] = {name, NULL};

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(walk_through(at_the_top), SCAN_FAILED);
    assert_int_equal(n_opened, 2); /* the top, twice */
    assert_int_equal(n_found, 0);
}

static void a_flood_hides_nothing_at_the_top(void **state)
{
    static const char *const at_the_top[] = {"src", "flood", ".envrc", NULL};
    enum scan_result result = walk_through(at_the_top);

    assert_true(result == SCAN_TOO_MANY || result == SCAN_TOO_LONG);
    assert_int_equal(n_found, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_is_too_long_is_told_and_left),
        cmocka_unit_test(a_flood_hides_nothing_at_the_top),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

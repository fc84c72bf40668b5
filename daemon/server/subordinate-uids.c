/* /etc/subuid, read when it has changed. It is root's file on the host's own disk, opened in a way
 * that would not wait if it were a FIFO. */
#include "server/subordinate-uids.h"

#include <fcntl.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "util.h"

void subordinate_uids_init(struct subordinate_uids *uids, const char *path)
{
    *uids = (struct subordinate_uids){.path = path};
}

void subordinate_uids_deinit(struct subordinate_uids *uids)
{
    free(uids->spans);
    *uids = (struct subordinate_uids){.path = uids->path};
}

static bool take_number(const char **text, uint64_t *ret)
{
    uint64_t value = 0;
    const char *p = *text;

    for (; *p >= '0' && *p <= '9'; p++) {
        if (value > UINT32_MAX)
            return false;
        value = value * 10 + (uint64_t)(*p - '0');
    }
    if (p == *text)
        return false;
    *text = p;
    *ret = value;
    return true;
}

/* "alice:100000:65536"; a line that is none gives nobody anything (newuidmap(1) skips it too). */
static bool parse_line(const char *line, struct uid_span *ret)
{
    const char *p = strchr(line, ':');
    uint64_t first, count;

    if (!p)
        return false;
    p++;
    if (!take_number(&p, &first) || *p++ != ':' || !take_number(&p, &count) || count == 0)
        return false;
    *ret = (struct uid_span){first, first + count - 1};
    return true;
}

static int compare(const void *left, const void *right)
{
    const struct uid_span *a = left, *b = right;

    return (a->first > b->first) - (a->first < b->first);
}

/* Sorts, and makes one of those that touch. */
static size_t merge(struct uid_span *spans, size_t n)
{
    size_t kept = 0;

    qsort(spans, n, sizeof(*spans), compare);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && spans[i].first <= spans[kept - 1].last + 1)
            spans[kept - 1].last = MAX_OF(spans[kept - 1].last, spans[i].last);
        else
            spans[kept++] = spans[i];
    }
    return kept;
}

static int parse(char *text, struct uid_span **ret, size_t *ret_n)
{
    size_t lines = 1, n = 0;
    char *line;

    for (const char *p = text; (p = strchr(p, '\n')); p++)
        lines++;
    struct uid_span *spans = calloc(lines, sizeof(*spans));
    if (!spans)
        return -ENOMEM;
    while ((line = strsep(&text, "\n")))
        n += parse_line(line, &spans[n]);
    *ret_n = n > 0 ? merge(spans, n) : 0;
    *ret = spans;
    return 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int read_file(struct subordinate_uids *uids)
{
    AUTO_FD int fd = open(uids->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    AUTO_FREE char *text = NULL;
    struct stat st;
    size_t size;

    if (fd < 0 || fstat(fd, &st) < 0)
        return negative_errno();
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    int r = fd_read_all(fd, SUBORDINATE_UIDS_FILE_MAX, &text, &size);
    if (r < 0)
        return r;
    if (memchr(text, 0, size))
        return -EINVAL;
    r = parse(text, &uids->spans, &uids->n_spans);
    if (r < 0)
        return r;
    uids->seen = st;
    uids->read = true;
    return 0;
}

static int refresh(struct subordinate_uids *uids)
{
    struct stat st = {};

    if (stat(uids->path, &st) < 0 && errno != ENOENT)
        return negative_errno();
    if (uids->read && is_same(&st, &uids->seen))
        return 0;
    subordinate_uids_deinit(uids);
    if (st.st_ino != 0)
        return read_file(uids);
    uids->read = true; /* nobody has any */
    return 0;
}

int subordinate_uids_have(struct subordinate_uids *uids, uid_t uid)
{
    size_t low = 0, high;
    int r = refresh(uids);

    if (r < 0)
        return r;
    for (high = uids->n_spans; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (uids->spans[middle].last < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < uids->n_spans && uids->spans[low].first <= uid;
}

/* The agents' uid ranges: which are free, and nspawn's locks on those in use. */
#include "process/uid-range.h"

#include <fcntl.h>
#include <stdio.h>

#include "fd-io.h"
#include "util.h"

#define NSPAWN_LOCKS "/run/systemd/nspawn-uid"

static void mark_foreign(struct uid_ranges *ranges, unsigned long long first,
                         unsigned long long count)
{
    const unsigned long long space_end = uid_range_base(AGENTS_MAX);

    if (count == 0 || first >= space_end || first + count <= UID_RANGE_FIRST)
        return;
    first = MAX_OF(first, (unsigned long long)UID_RANGE_FIRST);
    unsigned long long last = MIN_OF(first + count, space_end) - 1;
    for (unsigned long long i = (first - UID_RANGE_FIRST) / CAGE_UID_RANGE;
         i <= (last - UID_RANGE_FIRST) / CAGE_UID_RANGE; i++)
        ranges->slots[i].foreign = true;
}

/* Lines of colon-separated fields: field `id_field` is an id; `count_field`, if not 0, says how
 * many follow it. A missing file has nobody in it. */
static int scan_file(struct uid_ranges *ranges, const char *path, unsigned id_field,
                     unsigned count_field)
{
    FILE *file = fopen(path, "re");
    AUTO_FREE char *line = NULL;
    size_t allocated = 0;

    if (!file)
        return errno == ENOENT ? 0 : negative_errno();
    while (getline(&line, &allocated, file) >= 0) {
        unsigned long long id = 0, count = count_field ? 0 : 1;
        char *rest = line, *field;
        for (unsigned i = 0; (field = strsep(&rest, ":\n")); i++) {
            if (i == id_field)
                id = strtoull(field, NULL, 10);
            else if (count_field && i == count_field)
                count = strtoull(field, NULL, 10);
        }
        mark_foreign(ranges, id, MIN_OF(count, 1ULL << 32));
    }
    int r = ferror(file) ? -EIO : 0;
    (void)fclose(file);
    return r;
}

int uid_ranges_init(struct uid_ranges *ranges)
{
    static const struct {
        const char *path;
        unsigned id_field, count_field;
    } files[] = {
        {"/etc/passwd", 2, 0},
        {"/etc/group", 2, 0},
        {"/etc/subuid", 1, 2},
        {"/etc/subgid", 1, 2},
    };
    int r;

    *ranges = (struct uid_ranges){};
    for (size_t i = 0; i < AGENTS_MAX; i++)
        ranges->slots[i].lock_fd = -EBADF;
    r = folder_make("/run/systemd");
    if (r >= 0)
        r = folder_make(NSPAWN_LOCKS);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(files); i++)
        r = scan_file(ranges, files[i].path, files[i].id_field, files[i].count_field);
    return r;
}

void uid_ranges_deinit(struct uid_ranges *ranges)
{
    for (int i = 0; i < AGENTS_MAX; i++)
        if (ranges->slots[i].taken)
            uid_ranges_release(ranges, i);
}

/* Takes nspawn's lock for the range. 0 with the lock, -EAGAIN if an nspawn container or another
 * cagedd has it, or another -errno. */
static int lock_range(uid_t base, int *ret_fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[64];

    (void)snprintf(path, sizeof(path), NSPAWN_LOCKS "/%u", base);
    AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0)
        return negative_errno();
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
        return errno == EACCES ? -EAGAIN : negative_errno();
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int uid_ranges_claim(struct uid_ranges *ranges)
{
    for (unsigned tried = 0; tried < AGENTS_MAX; tried++) {
        unsigned slot = (ranges->next + tried) % AGENTS_MAX;
        int fd = -EBADF;

        if (ranges->slots[slot].taken || ranges->slots[slot].foreign)
            continue;
        int r = lock_range(uid_range_base((int)slot), &fd);
        if (r == -EAGAIN)
            continue;
        if (r < 0)
            return r;
        ranges->slots[slot].taken = true;
        ranges->slots[slot].lock_fd = fd;
        ranges->next = slot + 1;
        return (int)slot;
    }
    return -EUSERS;
}

void uid_ranges_release(struct uid_ranges *ranges, int slot)
{
    char path[64];

    if (slot < 0 || !ranges->slots[slot].taken)
        return;
    if (ranges->slots[slot].lock_fd >= 0) {
        (void)snprintf(path, sizeof(path), NSPAWN_LOCKS "/%u", uid_range_base(slot));
        (void)unlink(path);
    }
    ranges->slots[slot].lock_fd = fd_close(ranges->slots[slot].lock_fd);
    ranges->slots[slot].taken = false;
}

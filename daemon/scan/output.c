/* Records for cagedd; the contract stands in the header. */
#include "output.h"

#include "caged-limits.h"
#include "records.h"
#include "util.h"

static struct {
    size_t files, bytes;
} told[PLANTED_KIND_COUNT];
static uint64_t n_more;

_Static_assert(PLANTED_KIND_COUNT *(SCAN_KIND_BYTES_MAX + SCAN_KIND_FILES_MAX * 16) + 64 <=
                   SCAN_OUTPUT_MAX,
               "what is told fits into a pipe");

/* records.c only allocates when its buffer is full: no record here is as long. */
static bool put(uint16_t type, const void *value, size_t size)
{
    uint8_t buffer[SCAN_PATH_MAX + 64];
    struct records_writer w = {.data = buffer, .allocated = sizeof(buffer)};

    (void)records_put(&w, type, value, size);
    return write(SCAN_FD_OUTPUT, w.data, w.size) == (ssize_t)w.size;
}

bool output_found(enum planted_kind kind, enum planted_change change, const char *path)
{
    size_t length = strlen(path);
    bool cut = length > SCAN_PATH_MAX;
    uint8_t value[2 + SCAN_PATH_MAX] = {(uint8_t)kind, (uint8_t)change};

    length = cut ? SCAN_PATH_MAX : length;
    if (told[kind].files == SCAN_KIND_FILES_MAX ||
        told[kind].bytes + length > SCAN_KIND_BYTES_MAX) {
        n_more++;
        return true;
    }
    told[kind].files++;
    told[kind].bytes += length;
    memcpy(value + 2, path, length);
    return put(cut ? SCAN_CUT : SCAN_FOUND, value, 2 + length);
}

bool output_end(enum scan_result result)
{
    uint64_t number = result;

    return (n_more == 0 || put(SCAN_MORE, &n_more, sizeof(n_more))) &&
           put(SCAN_END, &number, sizeof(number));
}

/* Any bytes as what a client says first: no crash; the reader answers the same however they are
 * cut, and its answer stays; the filter lets pass all that came and nothing else, and on a port of
 * TLS nothing but a hello for the host that was asked for. */
#include "caged-limits.h"
#include "daemon/gate/hello-filter.h"
#include "fuzz.h"

/* In a copy of exactly its size, so that a read behind it is found. */
static enum client_hello_status read_copy(struct client_hello_reader *reader, const void *data,
                                          size_t size, struct client_hello *hello)
{
    AUTO_FREE void *copy = malloc(size + !size);
    const char *why = NULL;

    if (!copy)
        abort();
    memcpy(copy, data, size);
    enum client_hello_status status = client_hello_read(reader, copy, size, hello, &why);
    bool good = status == CLIENT_HELLO_MORE || status == CLIENT_HELLO_DONE;
    require((why == NULL) == good);
    require(status != CLIENT_HELLO_MORE || size < GATE_HELLO_SIZE_MAX);
    return status;
}

static void require_same(enum client_hello_status status, const struct client_hello *a,
                         const struct client_hello *b)
{
    const char *why;
    struct host host;

    if (status != CLIENT_HELLO_DONE)
        return;
    require(a->has_name == b->has_name && streq(a->name.name, b->name.name));
    require((a->name_fault == NULL) == (b->name_fault == NULL));
    require(a->has_name || (!a->name_fault && !*a->name.name));
    if (a->has_name && !a->name_fault)
        require(host_parse(a->name.name, strlen(a->name.name), &host, &why) == 0 &&
                streq(host.name, a->name.name));
}

static void check_reader(const uint8_t *data, size_t size, size_t step)
{
    struct client_hello whole_hello = {0}, hello = {0};
    struct client_hello_reader reader = {0}, pieces = {0};
    enum client_hello_status whole = read_copy(&reader, data, size, &whole_hello);
    enum client_hello_status status = CLIENT_HELLO_MORE;

    for (size_t n = 0; n < size && status == CLIENT_HELLO_MORE;) {
        n = MIN_OF(n + step, size);
        status = read_copy(&pieces, data, n, &hello);
    }
    require(status == whole);
    require_same(status, &whole_hello, &hello);
}

/* What the filter let pass, or -EBADMSG, must be the same for every cut. */
static int run_filter(const struct host *host, uint16_t port, const uint8_t *data, size_t size,
                      size_t step)
{
    CLEANUP(hello_filter_freep) struct hello_filter *filter = hello_filter_new(host, port, false);
    const char *passed = NULL;
    size_t n = 0, n_passed = 0;
    int r = 0;

    if (!filter)
        abort();
    while (r == 0 && n < size) {
        size_t piece = MIN_OF(step, size - n);
        r = hello_filter_take(filter, (const char *)data + n, piece, &passed, &n_passed);
        n += piece;
        require(r <= 0 || (n_passed == n && memcmp(passed, data, n) == 0));
    }
    if (r == 0 && (r = hello_filter_end(filter, &passed, &n_passed)) > 0)
        require(n_passed == size && (size == 0 || memcmp(passed, data, size) == 0));
    require((r == -EBADMSG) == (filter->refusal != REFUSAL_NONE));
    require((r == -EBADMSG) == (filter->detail && *filter->detail));
    return r;
}

static void check_filter(const char *name, uint16_t port, const uint8_t *data, size_t size)
{
    struct client_hello_reader reader = {0};
    struct client_hello hello;
    struct host host;
    const char *why;

    require(host_parse(name, strlen(name), &host, &why) == 0);
    int whole = run_filter(&host, port, data, size, size);
    require(run_filter(&host, port, data, size, 1) == whole);
    require(run_filter(&host, port, data, size, 7) == whole);
    if (whole <= 0 || size == 0)
        return;
    enum client_hello_status status = client_hello_read(&reader, data, size, &hello, &why);
    if (status == CLIENT_HELLO_DONE)
        require(host.address.family == AF_UNSPEC ? streq(hello.name.name, name) : !hello.has_name);
    else
        require(port == 22 && (status == CLIENT_HELLO_NOT_TLS || size == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_reader(data, size, 1 + size / 512); /* each piece is a copy of all before it */
    check_reader(data, size, 5 + size / 64);
    check_reader(data, size, size / 2 + 1);
    check_filter("a.example", 443, data, size);
    check_filter("a.example", 22, data, size);
    check_filter("11.22.33.44", 443, data, size);
    return 0;
}

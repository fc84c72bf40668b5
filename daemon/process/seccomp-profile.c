/* seccomp profiles: from what they say (seccomp-read.c) to BPF; the contract stands in the header.
 *
 * libseccomp cannot say "allowed, but not with this argument" when the plain permission stands in
 * the same filter. So each run of entries with the same action becomes a filter of its own, a
 * layer, whose default action is a marker; in the exported program every return of that marker is
 * turned into a jump to the next layer. That gives "the first matching entry decides". */
#include "process/seccomp-profile.h"

#include <ctype.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/mman.h>

#include "fd-io.h"
#include "process/seccomp-read.h"
#include "util.h"
#include "why.h"

#define OPTIMIZE_BINARY_TREE 2

/* No action that a profile can ask for. */
#define ACTION_NEXT_LAYER SCMP_ACT_TRACE(0x7ca9)
#define RET_NEXT_LAYER (SECCOMP_RET_TRACE | 0x7ca9)

struct profile {
    json_t *json;
    uint32_t default_action;
    struct sock_filter program[BPF_MAXINSNS];
    size_t length;
    char **ret_why;
};

static struct profile *profile_free(struct profile *p)
{
    if (p)
        json_decref(p->json);
    free(p);
    return NULL;
}
DEFINE_CLEANUP(struct profile, profile_free);

static void filter_releasep(scmp_filter_ctx *filter)
{
    if (*filter)
        seccomp_release(*filter);
}

/* -- architectures -- */

/* "SCMP_ARCH_X86_64" to libseccomp's token; 0 if it knows no such name. */
static uint32_t architecture_token(const char *name)
{
    char lower[32];
    size_t i;

    if (!has_prefix(name, "SCMP_ARCH_"))
        return 0;
    name += strlen("SCMP_ARCH_");
    for (i = 0; name[i] && i < sizeof(lower) - 1; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    lower[i] = 0;
    return name[i] ? 0 : seccomp_arch_resolve_name(lower);
}

/* Adds what the list names beside the machine's own architecture, which every filter has. */
static int add_architectures(const struct profile *p, scmp_filter_ctx filter, const json_t *names,
                             bool *ret_native)
{
    size_t i;
    json_t *item;

    json_array_foreach (names, i, item) {
        const char *name = json_is_string(item) ? json_string_value(item) : "";
        uint32_t token = architecture_token(name);
        if (token == 0)
            return why_set(p->ret_why, -EINVAL, "\"%.64s\" is not an architecture", name);
        if (token == seccomp_arch_native())
            *ret_native = true;
        else if (seccomp_arch_add(filter, token) < 0)
            return why_set(p->ret_why, -EINVAL, "%s can't stand beside the machine's architecture",
                           name);
    }
    return 0;
}

static int choose_architectures(const struct profile *p, scmp_filter_ctx filter)
{
    const json_t *list = json_object_get(p->json, "architectures");
    const json_t *map = json_object_get(p->json, "archMap");
    bool native = !list && !map;
    int r = add_architectures(p, filter, list, &native);
    size_t i;
    json_t *row;

    json_array_foreach (map, i, row) {
        struct seccomp_map_row map_row;
        if (r >= 0)
            r = seccomp_read_map_row(row, &map_row, p->ret_why);
        if (r < 0)
            return r;
        if (architecture_token(map_row.architecture) != seccomp_arch_native())
            continue;
        native = true;
        r = add_architectures(p, filter, map_row.others, &native);
    }
    if (r >= 0 && !native)
        return why_set(p->ret_why, -EINVAL,
                       "the profile does not name this machine's architecture");
    return r;
}

/* -- layers -- */

/* A filter that does `otherwise` where nothing matches. */
static int layer_new(const struct profile *p, uint32_t otherwise, scmp_filter_ctx *ret)
{
    CLEANUP(filter_releasep) scmp_filter_ctx filter = seccomp_init(otherwise);

    if (!filter)
        return -ENOMEM;
    if (seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, otherwise) < 0 ||
        seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_BINARY_TREE) < 0)
        return why_set(p->ret_why, -EINVAL, "libseccomp is older than 2.5");
    int r = choose_architectures(p, filter);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(filter);
    return 0;
}

static int layer_add_entry(const struct profile *p, scmp_filter_ctx layer,
                           const struct seccomp_rule *entry, const char *what)
{
    size_t i;
    json_t *name;

    json_array_foreach (entry->names, i, name) {
        int number = seccomp_syscall_resolve_name(json_string_value(name));
        if (number == __NR_SCMP_ERROR)
            continue;
        int r = seccomp_rule_add_array(layer, entry->action, number, entry->n_arguments,
                                       entry->arguments);
        if (r < 0)
            return why_set(p->ret_why, -EINVAL, "libseccomp refuses \"%s\" of %s: %s",
                           json_string_value(name), what, strerror(-r));
    }
    return 0;
}

/* The layer as BPF, in a plain memfd since libseccomp writes to descriptors only. */
static int layer_export(scmp_filter_ctx layer, char **ret, size_t *ret_size)
{
    AUTO_FD int fd = memfd_create("seccomp-layer", MFD_CLOEXEC);
    int r;

    if (fd < 0)
        return negative_errno();
    r = seccomp_export_bpf(layer, fd);
    if (r < 0)
        return r;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return negative_errno();
    return fd_read_all(fd, BPF_MAXINSNS * sizeof(struct sock_filter), ret, ret_size);
}

/* Appends the layer. Its jumps are relative, so only the returns of the marker are rewritten: to
 * jumps to where the next layer will begin. */
static int append_layer(struct profile *p, scmp_filter_ctx layer)
{
    AUTO_FREE char *bytes = NULL;
    size_t size;
    int r = layer_export(layer, &bytes, &size);

    if (r < 0)
        return r;
    size_t n = size / sizeof(struct sock_filter);
    if (n > BPF_MAXINSNS - p->length)
        return why_set(p->ret_why, -EINVAL, "the profile is over %d instructions", BPF_MAXINSNS);

    struct sock_filter *start = p->program + p->length;
    memcpy(start, bytes, n * sizeof(*start));
    for (size_t i = 0; i < n; i++)
        if (start[i].code == (BPF_RET | BPF_K) && start[i].k == RET_NEXT_LAYER)
            start[i] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(n - i - 1));
    p->length += n;
    return 0;
}

/* The entries from *index on that share one action, as one layer; *index is then the next. */
static int compile_run(struct profile *p, const json_t *entries, size_t *index)
{
    CLEANUP(filter_releasep) scmp_filter_ctx layer = NULL;
    uint32_t layer_action = 0;
    size_t i;

    for (i = *index; i < json_array_size(entries); i++) {
        struct seccomp_rule entry;
        char what[48];

        (void)snprintf(what, sizeof(what), "syscalls[%zu]", i);
        int r = seccomp_read_entry(json_array_get(entries, i), what, &entry, p->ret_why);
        if (r >= 0 && !layer) {
            layer_action = entry.action;
            r = layer_new(p, ACTION_NEXT_LAYER, &layer);
        }
        if (r < 0)
            return r;
        if (entry.action != layer_action)
            break;
        r = layer_add_entry(p, layer, &entry, what);
        if (r < 0)
            return r;
    }
    *index = i;
    return append_layer(p, layer);
}

static int compile(struct profile *p)
{
    const json_t *entries = json_object_get(p->json, "syscalls");
    struct sock_filter last = BPF_STMT(BPF_RET | BPF_K, 0);
    CLEANUP(filter_releasep) scmp_filter_ctx unused = NULL;
    int r = layer_new(p, ACTION_NEXT_LAYER, &unused);

    /* Only for the architectures: they are checked even where there is no entry. */
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_array_size(entries);) {
        r = compile_run(p, entries, &i);
        if (r < 0)
            return r;
    }
    if (p->length == BPF_MAXINSNS)
        return why_set(p->ret_why, -EINVAL, "the profile is over %d instructions", BPF_MAXINSNS);
    last.k = SECCOMP_RET_ERRNO | (p->default_action & SECCOMP_RET_DATA);
    p->program[p->length++] = last;
    return 0;
}

int seccomp_profile_compile(const char *path, int *ret_memfd, size_t *ret_instructions,
                            char **ret_why)
{
    CLEANUP(profile_freep) struct profile *p = calloc(1, sizeof(*p));
    int r, fd;

    *ret_why = NULL;
    if (!p)
        return -ENOMEM;
    p->ret_why = ret_why;
    r = seccomp_read_file(path, &p->json, &p->default_action, ret_why);
    if (r >= 0)
        r = compile(p);
    if (r < 0)
        return r;
    fd = memfd_new_sealed("caged-seccomp", p->program, p->length * sizeof(p->program[0]));
    if (fd < 0)
        return fd;
    *ret_memfd = fd;
    *ret_instructions = p->length;
    return 0;
}

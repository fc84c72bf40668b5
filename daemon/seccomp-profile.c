/* seccomp profiles: JSON to BPF; the contract stands in the header.
 *
 * libseccomp cannot say "allowed, but not with this argument" when the plain permission stands in
 * the same filter. So each run of entries with the same action becomes a filter of its own, a
 * layer, whose default action is a marker; in the exported program every return of that marker is
 * turned into a jump to the next layer. That gives "the first matching entry decides". */
#include "seccomp-profile.h"

#include <ctype.h>
#include <jansson.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/mman.h>

#include "fd-io.h"
#include "json-text.h"
#include "util.h"
#include "why.h"

#define PROFILE_SIZE_MAX (256 * 1024)
#define PROFILE_NESTING_MAX 8
#define ERRNO_MAX 4095
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

/* -- strictness: every object has only keys that are known, of the type that they have -- */

struct key {
    const char *name;
    json_type type;
    bool required;
};

static const struct key top_keys[] = {
    {"defaultAction", JSON_STRING, true}, {"defaultErrnoRet", JSON_INTEGER, true},
    {"architectures", JSON_ARRAY, false}, {"archMap", JSON_ARRAY, false},
    {"syscalls", JSON_ARRAY, true},
};

static const struct key map_keys[] = {
    {"architecture", JSON_STRING, true},
    {"subArchitectures", JSON_ARRAY, false},
};

static const struct key entry_keys[] = {
    {"names", JSON_ARRAY, true}, {"action", JSON_STRING, true},   {"errnoRet", JSON_INTEGER, false},
    {"args", JSON_ARRAY, false}, {"comment", JSON_STRING, false},
};

static const struct key argument_keys[] = {
    {"index", JSON_INTEGER, true},
    {"value", JSON_INTEGER, true},
    {"valueTwo", JSON_INTEGER, false},
    {"op", JSON_STRING, true},
};

static const struct key *find_key(const struct key *keys, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (streq(keys[i].name, name))
            return &keys[i];
    return NULL;
}

/* `what` names the object for the sentence: "syscalls[3]". */
static int check_object(const struct profile *p, json_t *object, const struct key *keys, size_t n,
                        const char *what)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return why_set(p->ret_why, -EINVAL, "%s must be an object", what);
    json_object_foreach (object, name, value) {
        const struct key *key = find_key(keys, n, name);
        if (!key)
            return why_set(p->ret_why, -EINVAL, "%s has an unknown key \"%.64s\"", what, name);
        if (json_typeof(value) != key->type)
            return why_set(p->ret_why, -EINVAL, "\"%s\" of %s has the wrong type", name, what);
    }
    for (size_t i = 0; i < n; i++)
        if (keys[i].required && !json_object_get(object, keys[i].name))
            return why_set(p->ret_why, -EINVAL, "%s lacks \"%s\"", what, keys[i].name);
    return 0;
}

static int check_strings(const struct profile *p, const json_t *array, const char *what)
{
    size_t i;
    json_t *item;

    json_array_foreach (array, i, item)
        if (!json_is_string(item))
            return why_set(p->ret_why, -EINVAL, "%s must hold strings only", what);
    return 0;
}

/* -- actions and arguments -- */

/* The action of an object with the keys `action_key` and `errno_key`. */
static int read_action(const struct profile *p, const json_t *object, const char *action_key,
                       const char *errno_key, const char *what, uint32_t *ret)
{
    const char *name = json_string_value(json_object_get(object, action_key));
    const json_t *number = json_object_get(object, errno_key);
    json_int_t error = number ? json_integer_value(number) : EPERM;

    if (streq(name, "SCMP_ACT_ALLOW") && !number) {
        *ret = SCMP_ACT_ALLOW;
        return 0;
    }
    if (!streq(name, "SCMP_ACT_ERRNO"))
        return why_set(p->ret_why, -EINVAL,
                       "\"%s\" of %s must be SCMP_ACT_ALLOW (without an errno) or SCMP_ACT_ERRNO",
                       action_key, what);
    if (error < 1 || error > ERRNO_MAX)
        return why_set(p->ret_why, -EINVAL, "\"%s\" of %s must be from 1 to %d", errno_key, what,
                       ERRNO_MAX);
    *ret = SCMP_ACT_ERRNO((uint32_t)error);
    return 0;
}

static const struct {
    const char *name;
    enum scmp_compare op;
} operators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

static bool find_operator(const char *name, enum scmp_compare *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
        if (streq(operators[i].name, name)) {
            *ret = operators[i].op;
            return true;
        }
    }
    return false;
}

/* For SCMP_CMP_MASKED_EQ `value` is the mask and `valueTwo` what must be left. */
static int read_argument(const struct profile *p, json_t *object, const char *what,
                         struct scmp_arg_cmp *ret)
{
    enum scmp_compare op;
    int r = check_object(p, object, argument_keys, ARRAY_SIZE(argument_keys), what);

    if (r < 0)
        return r;
    json_int_t index = json_integer_value(json_object_get(object, "index"));
    json_int_t value = json_integer_value(json_object_get(object, "value"));
    json_int_t second = json_integer_value(json_object_get(object, "valueTwo"));
    const char *name = json_string_value(json_object_get(object, "op"));

    if (index < 0 || index > 5)
        return why_set(p->ret_why, -EINVAL, "\"index\" of %s must be from 0 to 5", what);
    if (value < 0 || second < 0)
        return why_set(p->ret_why, -EINVAL, "a value of %s is negative", what);
    if (!find_operator(name, &op))
        return why_set(p->ret_why, -EINVAL, "%s has an unknown op \"%.64s\"", what, name);
    *ret = (struct scmp_arg_cmp){(unsigned)index, op, (scmp_datum_t)value, (scmp_datum_t)second};
    return 0;
}

static int read_arguments(const struct profile *p, const json_t *entry, const char *what,
                          struct scmp_arg_cmp ret[6], unsigned *ret_n)
{
    const json_t *array = json_object_get(entry, "args");
    unsigned seen = 0;
    size_t i;
    json_t *item;

    json_array_foreach (array, i, item) {
        struct scmp_arg_cmp argument;
        int r = read_argument(p, item, what, &argument);
        if (r < 0)
            return r;
        if (seen & 1U << argument.arg)
            return why_set(p->ret_why, -EINVAL, "%s compares argument %u twice", what,
                           argument.arg);
        seen |= 1U << argument.arg;
        ret[i] = argument;
    }
    *ret_n = (unsigned)json_array_size(array);
    return 0;
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
        if (r >= 0)
            r = check_object(p, row, map_keys, ARRAY_SIZE(map_keys), "an entry of archMap");
        if (r < 0)
            return r;
        const char *name = json_string_value(json_object_get(row, "architecture"));
        if (architecture_token(name) != seccomp_arch_native())
            continue;
        native = true;
        r = add_architectures(p, filter, json_object_get(row, "subArchitectures"), &native);
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

static int layer_add_entry(const struct profile *p, scmp_filter_ctx layer, uint32_t action,
                           const json_t *entry, const char *what)
{
    const json_t *names = json_object_get(entry, "names");
    struct scmp_arg_cmp arguments[6];
    unsigned n_arguments = 0;
    size_t i;
    json_t *name;
    int r = check_strings(p, names, what);

    if (r >= 0)
        r = read_arguments(p, entry, what, arguments, &n_arguments);
    if (r < 0)
        return r;
    json_array_foreach (names, i, name) {
        int number = seccomp_syscall_resolve_name(json_string_value(name));
        if (number == __NR_SCMP_ERROR)
            continue;
        r = seccomp_rule_add_array(layer, action, number, n_arguments, arguments);
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
        json_t *entry = json_array_get(entries, i);
        char what[48];
        uint32_t action;

        (void)snprintf(what, sizeof(what), "syscalls[%zu]", i);
        int r = check_object(p, entry, entry_keys, ARRAY_SIZE(entry_keys), what);
        if (r >= 0)
            r = read_action(p, entry, "action", "errnoRet", what, &action);
        if (r >= 0 && !layer) {
            layer_action = action;
            r = layer_new(p, ACTION_NEXT_LAYER, &layer);
        }
        if (r < 0)
            return r;
        if (action != layer_action)
            break;
        r = layer_add_entry(p, layer, action, entry, what);
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

static int load(struct profile *p, const char *path)
{
    AUTO_FREE char *text = NULL;
    struct json_text_error error;
    size_t size;
    int r = file_read_all(path, PROFILE_SIZE_MAX, &text, &size);

    if (r < 0)
        return why_set(p->ret_why, r, "it cannot be read: %s", strerror(-r));
    r = json_text_parse(text, size, PROFILE_NESTING_MAX, &p->json, &error);
    if (r == -EINVAL)
        return why_set(p->ret_why, -EINVAL, "%s: line %d: found %s", error.path, error.line,
                       error.found);
    if (r >= 0)
        r = check_object(p, p->json, top_keys, ARRAY_SIZE(top_keys), "the profile");
    if (r >= 0)
        r = read_action(p, p->json, "defaultAction", "defaultErrnoRet", "the profile",
                        &p->default_action);
    return r;
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
    r = load(p, path);
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

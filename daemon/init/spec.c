/* The specification of a cage, checked; the contract stands in the header. */
#include "spec.h"

#include <limits.h>

#include "caged-limits.h"
#include "mount-target.h"
#include "plain-path.h"
#include "util.h"

#define FILE_PATH_MAX 255

_Static_assert(INIT_FD_COUNT == INIT_FD_MOUNTS + CARD_MOUNTS_MAX, "a descriptor for each mount");

/* The greatest uid that is one: (uid_t)-1 means "no id" to the kernel. */
#define UID_LAST ((uint64_t)UINT32_MAX - 1)

/* The numbers: each must stand there once and lie in its range. */
static const struct number_rule {
    uint16_t type;
    size_t offset;
    uint64_t min;
    uint64_t max;
    uint64_t multiple_of;
    const char *why;
} number_rules[] = {
    {INIT_SPEC_VERSION_NUMBER, offsetof(struct init_spec, version), INIT_SPEC_VERSION,
     INIT_SPEC_VERSION, 1, "the version is not the one this caged-init speaks"},
    {INIT_SPEC_UID_BASE, offsetof(struct init_spec, uid_base), CAGE_UID_RANGE,
     UID_LAST + 1 - CAGE_UID_RANGE, CAGE_UID_RANGE,
     "the uid base must be a positive multiple of 65536 below 4294901760"},
    {INIT_SPEC_OWNER_UID, offsetof(struct init_spec, owner_uid), 1, UID_LAST, 1,
     "the owner's uid must be from 1 to 4294967294"},
    {INIT_SPEC_OWNER_GID, offsetof(struct init_spec, owner_gid), 1, UID_LAST, 1,
     "the owner's gid must be from 1 to 4294967294"},
    {INIT_SPEC_FOLDER_UID, offsetof(struct init_spec, folder_uid), 0, UID_LAST, 1,
     "the folder's uid must be from 0 to 4294967294"},
    {INIT_SPEC_FOLDER_GID, offsetof(struct init_spec, folder_gid), 0, UID_LAST, 1,
     "the folder's gid must be from 0 to 4294967294"},
    {INIT_SPEC_MAX_OPEN_FILES, offsetof(struct init_spec, max_open_files), CARD_OPEN_FILES_MIN,
     CARD_OPEN_FILES_MAX, 1, "the limit of open files is out of range"},
    {INIT_SPEC_TMPFS_BYTES, offsetof(struct init_spec, tmpfs_bytes), 4096, UINT64_MAX >> 1, 1,
     "the size of a tmpfs is out of range"},
    {INIT_SPEC_TERMINAL, offsetof(struct init_spec, terminal), 0, 1, 1, "terminal must be 0 or 1"},
    {INIT_SPEC_TERMINAL_ROWS, offsetof(struct init_spec, terminal_rows), 0, UINT16_MAX, 1,
     "the terminal's rows are out of range"},
    {INIT_SPEC_TERMINAL_COLUMNS, offsetof(struct init_spec, terminal_columns), 0, UINT16_MAX, 1,
     "the terminal's columns are out of range"},
    {INIT_SPEC_NAME_SERVER, offsetof(struct init_spec, name_server), 0, UINT32_MAX, 1,
     "the name server is not an IPv4 address"},
    {INIT_SPEC_PROTECT_GIT, offsetof(struct init_spec, protect_git), 0, 1, 1,
     "protect_git must be 0 or 1"},
};

static int take_number(const struct record *record, struct init_spec *spec, const char **ret_why)
{
    for (size_t i = 0; i < ARRAY_SIZE(number_rules); i++) {
        const struct number_rule *rule = &number_rules[i];
        uint64_t value;

        if (rule->type != record->type)
            continue;
        if (record_u64(record, &value) < 0 || value < rule->min || value > rule->max ||
            value % rule->multiple_of != 0) {
            *ret_why = rule->why;
            return -EBADMSG;
        }
        memcpy((uint8_t *)spec + rule->offset, &value, sizeof(value));
        return 0;
    }
    *ret_why = "a record of an unknown type";
    return -EBADMSG;
}

static bool agent_id_valid(const char *id)
{
    size_t length = id ? strlen(id) : 0;

    return length > 0 && length <= CARD_AGENT_ID_MAX &&
           strspn(id, CARD_AGENT_ID_CHARACTERS) == length;
}

/* Absolute, without a slash at its end. */
static bool workspace_valid(const char *path)
{
    size_t length = path ? strlen(path) : 0;

    return length > 1 && length < PATH_MAX && path[0] == '/' && path[length - 1] != '/';
}

/* Below /etc or the agent's home, and plain. */
static bool file_path_valid(const char *path)
{
    size_t length = strlen(path);

    return length <= FILE_PATH_MAX && plain_path_length(path) == length &&
           (has_prefix(path, "/etc/") || has_prefix(path, CAGE_HOME "/"));
}

static bool file_from_record(const struct record *record, struct init_spec_file *ret)
{
    const char *end = record->size > 0 ? memchr(record->value, 0, record->size) : NULL;

    if (!end || !file_path_valid(record->value))
        return false;
    *ret = (struct init_spec_file){
        .path = record->value,
        .content = end + 1,
        .size = record->size - (size_t)(end + 1 - (const char *)record->value),
        .agents = record->type == INIT_SPEC_AGENT_FILE,
    };
    return true;
}

static bool take_argument(const struct record *record, struct init_spec *spec)
{
    const char *text = record_string(record);

    if (!text || spec->n_arguments >= CARD_COMMAND_MAX)
        return false;
    if (spec->n_arguments++ == 0)
        spec->command = text;
    return true;
}

static bool take_variable(const struct record *record, struct init_spec *spec)
{
    const char *text = record_string(record);

    return text && text[0] != '=' && strchr(text, '=') &&
           ++spec->n_environment <= SPEC_ENVIRONMENT_MAX;
}

static bool ids_valid(const struct init_spec_mount_ids *ids)
{
    return ids->writable <= 1 && ids->uid >= 1 && ids->uid <= UID_LAST && ids->gid >= 1 &&
           ids->gid <= UID_LAST && ids->folder_uid <= UID_LAST && ids->folder_gid <= UID_LAST;
}

static bool take_mount(const struct record *record, struct init_spec *spec)
{
    struct init_spec_mount *mount = &spec->mounts[spec->n_mounts];
    size_t head = sizeof(mount->ids);

    if (spec->n_mounts >= CARD_MOUNTS_MAX || record->size < head)
        return false;
    const struct record target = {
        .value = (const char *)record->value + head,
        .size = record->size - head,
    };
    memcpy(&mount->ids, record->value, head);
    mount->target = record_string(&target);
    if (!ids_valid(&mount->ids) || !mount->target || !mount_target_valid(mount->target))
        return false;
    for (size_t i = 0; i < spec->n_mounts; i++)
        if (mount_targets_overlap(mount->target, spec->mounts[i].target))
            return false;
    spec->n_mounts++;
    return true;
}

static int take_record(const struct record *record, struct init_spec *spec, const char **ret_why)
{
    struct init_spec_file file;
    bool good;

    switch (record->type) {
    case INIT_SPEC_AGENT_ID:
        *ret_why = "the agent's id is not one";
        spec->agent_id = record_string(record);
        good = agent_id_valid(spec->agent_id);
        break;
    case INIT_SPEC_WORKSPACE:
        *ret_why = "the workspace's path is not an absolute one";
        spec->workspace = record_string(record);
        good = workspace_valid(spec->workspace);
        break;
    case INIT_SPEC_ARGUMENT:
        *ret_why = "an argument is not a string, or there are too many";
        good = take_argument(record, spec);
        break;
    case INIT_SPEC_ENVIRONMENT:
        *ret_why = "a variable is not NAME=value, or there are too many";
        good = take_variable(record, spec);
        break;
    case INIT_SPEC_FILE:
    case INIT_SPEC_AGENT_FILE:
        *ret_why = "a file's path is not a plain one below /etc or the agent's home";
        good = file_from_record(record, &file);
        break;
    case INIT_SPEC_MOUNT:
        *ret_why = "a mount's ids or target are none, targets overlap, or there are too many";
        good = take_mount(record, spec);
        break;
    default:
        return take_number(record, spec, ret_why);
    }
    return good ? 0 : -EBADMSG;
}

/* Types that may stand there more than once. */
static bool repeatable(uint16_t type)
{
    return type == INIT_SPEC_ARGUMENT || type == INIT_SPEC_ENVIRONMENT || type == INIT_SPEC_FILE ||
           type == INIT_SPEC_AGENT_FILE || type == INIT_SPEC_MOUNT;
}

static bool all_seen(uint64_t seen, const char **ret_why)
{
    uint64_t wanted = UINT64_C(1) << INIT_SPEC_AGENT_ID | UINT64_C(1) << INIT_SPEC_ARGUMENT |
                      UINT64_C(1) << INIT_SPEC_WORKSPACE;

    for (size_t i = 0; i < ARRAY_SIZE(number_rules); i++)
        wanted |= UINT64_C(1) << number_rules[i].type;
    *ret_why = "a record that must be there is missing";
    return (seen & wanted) == wanted;
}

int init_spec_parse(const void *data, size_t size, struct init_spec *ret, const char **ret_why)
{
    struct records_reader reader = {.data = data, .size = size};
    struct init_spec spec = {.data = data, .size = size};
    struct record record;
    uint64_t seen = 0;
    int r;

    while ((r = records_next(&reader, &record)) > 0) {
        r = take_record(&record, &spec, ret_why);
        if (r < 0)
            return r;
        /* Every type that take_record knows is below 64. */
        uint64_t bit = UINT64_C(1) << record.type;
        if ((seen & bit) && !repeatable(record.type)) {
            *ret_why = "a record stands there twice";
            return -EBADMSG;
        }
        seen |= bit;
    }
    if (r < 0) {
        *ret_why = "not whole records";
        return r;
    }
    if (!all_seen(seen, ret_why))
        return -EBADMSG;
    if (spec.command[0] == 0) {
        *ret_why = "the command is empty";
        return -EBADMSG;
    }
    *ret = spec;
    return 0;
}

struct records_reader init_spec_reader(const struct init_spec *spec)
{
    return (struct records_reader){.data = spec->data, .size = spec->size};
}

void init_spec_strings(const struct init_spec *spec, uint16_t type, char **array)
{
    struct records_reader reader = init_spec_reader(spec);
    struct record record;
    size_t n = 0;

    while (records_next(&reader, &record) > 0)
        if (record.type == type)
            array[n++] = (char *)record.value;
    array[n] = NULL;
}

bool init_spec_next_file(struct records_reader *reader, struct init_spec_file *ret)
{
    struct record record;

    while (records_next(reader, &record) > 0)
        if (record.type == INIT_SPEC_FILE || record.type == INIT_SPEC_AGENT_FILE)
            return file_from_record(&record, ret);
    return false;
}

/* File systems by their kind. fstatfs(2) asks a FUSE where it was mounted with allow_other, and so
 * does fstat(2): a program that does not answer would keep the daemon waiting for ever, and so
 * would a server that is away. What the kernel knows by itself is the mount's number (statx(2):
 * AT_STATX_DONT_SYNC asks nobody), and by that number the type (proc_pid_mountinfo(5)). */
#include "paths/file-system.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util.h"
#include "why.h"

/* What is read from them, or written to them, in the daemon's name would be more than the
 * descriptor's owner may do; or it is a trigger that makes others mount. */
static bool is_kernels(const char *type)
{
    static const char *const types[] = {
        "proc",       "sysfs",   "cgroup",     "cgroup2",    "debugfs",   "tracefs",
        "securityfs", "pstore",  "bpf",        "devpts",     "nsfs",      "binfmt_misc",
        "configfs",   "autofs",  "efivarfs",   "mqueue",     "selinuxfs", "smackfs",
        "nfsd",       "resctrl", "rpc_pipefs", "functionfs",
    };

    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (streq(type, types[i]))
            return true;
    return false;
}

/* The next word of a line, cut off; NULL at the end. */
static char *next_word(char **line)
{
    char *word = strsep(line, " \n");

    return word && *word ? word : NULL;
}

static bool has_option_ro(const char *options)
{
    return streq(options, "ro") || has_prefix(options, "ro,");
}

/* A line of mountinfo, "ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS [FIELD]... - TYPE SOURCE OPTIONS",
 * which is cut into pieces; spaces in a place are written as \040. What cannot be read as one is
 * taken for made up. */
static void read_line(char *line, struct file_system *ret)
{
    struct file_system found = {.kind = FILE_SYSTEM_MADE_UP};
    char *dash = strstr(line, " - "), *rest = dash ? dash + strlen(" - ") : NULL;
    const char *word = NULL, *type, *source, *options;

    *ret = found;
    if (!dash)
        return;
    *dash = '\0';
    for (int i = 0; i < 6; i++) /* the sixth word is the mount's options */
        word = next_word(&line);
    type = next_word(&rest);
    source = next_word(&rest);
    options = next_word(&rest);
    if (!word || !type || !source)
        return;
    (void)snprintf(found.type, sizeof(found.type), "%s", type);
    found.read_only = has_option_ro(word) || (options && has_option_ro(options));
    if (!has_prefix(type, "fuse") && !is_kernels(type))
        found.kind = FILE_SYSTEM_REAL;
    *ret = found;
}

void file_system_find(int fd, struct file_system *ret)
{
    AUTO_FREE char *line = NULL;
    size_t allocated = 0;
    struct statx st = {};
    char *end;

    *ret = (struct file_system){.kind = FILE_SYSTEM_UNKNOWN};
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0 ||
        !(st.stx_mask & STATX_MNT_ID))
        return;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file)
        return;
    while (ret->kind == FILE_SYSTEM_UNKNOWN && getline(&line, &allocated, file) >= 0)
        if (strtoull(line, &end, 10) == st.stx_mnt_id && *end == ' ')
            read_line(line, ret);
    (void)fclose(file);
}

int file_system_check(const struct file_system *file_system, const char *name, char **ret_why)
{
    switch (file_system->kind) {
    case FILE_SYSTEM_MADE_UP:
        return why_set(ret_why, -EPERM,
                       "%s lies in a file system that the kernel or a program (FUSE) makes up",
                       name);
    case FILE_SYSTEM_UNKNOWN:
        return why_set(ret_why, -EPERM, "%s lies in a mount namespace that is not the daemon's",
                       name);
    default:
        return 0;
    }
}

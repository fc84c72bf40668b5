/* Which systemd service a cgroup belongs to. */
#include "unit-path.h"

#include <stdbool.h>

#include "util.h"

#define UNIT_CHARACTERS                                                                            \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@" /* systemd.unit(5) */

char *unit_path_from_proc(char *text)
{
    for (char *line = text; line && *line;) {
        char *end = line + strcspn(line, "\n");
        if (has_prefix(line, "0::/")) {
            *end = 0;
            return line + strlen("0::");
        }
        line = *end ? end + 1 : NULL;
    }
    return NULL;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name), suffix_length = strlen(suffix);

    return length > suffix_length && streq(name + length - suffix_length, suffix);
}

/* A component without systemd's escape. False if it is too long or empty. */
static bool take_component(const char *component, size_t length, char name[UNIT_NAME_SIZE])
{
    if (length > 0 && component[0] == '_') {
        component++;
        length--;
    }
    if (length == 0 || length >= UNIT_NAME_SIZE)
        return false;
    memcpy(name, component, length);
    name[length] = 0;
    return true;
}

/* A name with something before its type and, for an instance, something on both sides of "@". */
static bool is_unit_name(const char *name)
{
    const char *at = strchr(name, '@'), *dot = strrchr(name, '.');

    return name[strspn(name, UNIT_CHARACTERS)] == 0 && dot != name &&
           (!at || (at != name && at + 1 != dot));
}

/* "..": outside of our cgroup namespace; " (deleted)": removed (cgroup_namespaces(7)). */
static bool is_visible(const char *path)
{
    return !has_suffix(path, " (deleted)") && !strstr(path, "/../") && !has_suffix(path, "/..") &&
           !streq(path, "/..");
}

int unit_path_parse(const char *path, struct unit_path *ret, const char **ret_why)
{
    struct unit_path result = {};
    const char *p = path;

    *ret_why = "it is in no service of systemd's";
    if (*p != '/')
        return -EINVAL;
    if (!is_visible(path)) {
        *ret_why = "its cgroup is gone, or not one that can be seen from here";
        return -EINVAL;
    }
    do {
        size_t length = strcspn(++p, "/");
        if (!take_component(p, length, result.name) || !is_unit_name(result.name))
            return -EINVAL;
        p += length;
    } while (has_suffix(result.name, ".slice") && *p == '/');

    if (has_suffix(result.name, ".scope")) {
        *ret_why = "it is in a scope (a login session, say), not in a service";
        return -EINVAL;
    }
    if (!has_suffix(result.name, ".service"))
        return -EINVAL;
    result.folder_length = (size_t)(p - path);
    result.leaf = *p ? p + 1 : p;
    *ret = result;
    return 0;
}

/* The root file system of a cage, line by line. The root itself (a tmpfs) and /proc are mounted
 * before the first row, /workspace after the last; then the root becomes read-only. */
#include "root-table.h"

#include <stdio.h>

#include "util.h"

static int generate_passwd(const struct init_spec *spec, char *buffer, size_t size)
{
    const char *shell = access("/usr/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";

    return snprintf(buffer, size,
                    "root:x:0:0:root:/root:/usr/sbin/nologin\n"
                    "caged-init:x:%d:%d:caged-init:/:/usr/sbin/nologin\n"
                    "agent:x:%d:%d:agent:%s:%s\n"
                    "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
                    CAGE_INIT_UID, CAGE_INIT_UID, CAGE_AGENT_UID, CAGE_AGENT_UID, CAGE_HOME, shell);
}

static int generate_group(const struct init_spec *spec, char *buffer, size_t size)
{
    return snprintf(buffer, size,
                    "root:x:0:\ntty:x:%d:\ncaged-init:x:%d:\nagent:x:%d:\nnogroup:x:65534:\n",
                    CAGE_TTY_GID, CAGE_INIT_UID, CAGE_AGENT_UID);
}

static int generate_hosts(const struct init_spec *spec, char *buffer, size_t size)
{
    return snprintf(buffer, size,
                    "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
                    "127.0.1.1 %s\n",
                    spec->agent_id);
}

static int generate_hostname(const struct init_spec *spec, char *buffer, size_t size)
{
    return snprintf(buffer, size, "%s\n", spec->agent_id);
}

/* Without a name server the file is empty, and no name resolves. With one, which is the agent's own
 * gate: it answers at once or not at all (when it dies), so that asking again soon is right. No
 * search list, since names are looked up as they stand; no server but this one. */
static int generate_resolv_conf(const struct init_spec *spec, char *buffer, size_t size)
{
    uint32_t address = (uint32_t)spec->name_server;

    if (address == 0) {
        buffer[0] = '\0';
        return 0;
    }
    return snprintf(buffer, size, "nameserver %u.%u.%u.%u\noptions timeout:1 attempts:5\n",
                    address >> 24, (address >> 16) & 0xff, (address >> 8) & 0xff, address & 0xff);
}

#define NSSWITCH                                                                                   \
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"              \
    "protocols: files\nservices: files\nethers: files\nrpc: files\n"

#define OPTIONAL .optional = true

/* clang-format off */
const struct root_row root_table[] = {
    /* Programs: the host's /usr, and the links into it. A host whose /bin is a real folder (no
     * merged /usr) is refused. */
    {ROOT_BIND_TREE,   "usr",    "/usr"},
    {ROOT_HOST_LINK,   "bin",    "/bin"},
    {ROOT_HOST_LINK,   "sbin",   "/sbin"},
    {ROOT_HOST_LINK,   "lib",    "/lib"},
    {ROOT_HOST_LINK,   "lib32",  "/lib32",  OPTIONAL},
    {ROOT_HOST_LINK,   "lib64",  "/lib64",  OPTIONAL},
    {ROOT_HOST_LINK,   "libx32", "/libx32", OPTIONAL},

    /* Configuration: made here, ... */
    {ROOT_DIRECTORY,   "etc", .mode = 0755},
    {ROOT_FILE,        "etc/passwd",        .generate = generate_passwd},
    {ROOT_FILE,        "etc/group",         .generate = generate_group},
    {ROOT_FILE,        "etc/hosts",         .generate = generate_hosts},
    {ROOT_FILE,        "etc/hostname",      .generate = generate_hostname},
    {ROOT_FILE,        "etc/nsswitch.conf", NSSWITCH},
    {ROOT_FILE,        "etc/resolv.conf",   .generate = generate_resolv_conf},
    {ROOT_LINK,        "etc/mtab",          "../proc/self/mounts"},
    {ROOT_LINK,        "etc/os-release",    "../usr/lib/os-release"},
    {ROOT_HOST_LINK,   "etc/localtime",     "/etc/localtime", OPTIONAL},
    /* ... and what programs of /usr need of the host's: the loader, alternatives, certificates of
     * the authorities (public ones only: never /etc/ssl/private or /etc/pki/tls/private). */
    {ROOT_BIND_FILE,   "etc/ld.so.cache",   "/etc/ld.so.cache",   OPTIONAL},
    {ROOT_BIND_FILE,   "etc/ld.so.conf",    "/etc/ld.so.conf",    OPTIONAL},
    {ROOT_BIND_TREE,   "etc/ld.so.conf.d",  "/etc/ld.so.conf.d",  OPTIONAL},
    {ROOT_BIND_TREE,   "etc/alternatives",  "/etc/alternatives",  OPTIONAL},
    {ROOT_DIRECTORY,   "etc/ssl", .mode = 0755},
    {ROOT_BIND_TREE,   "etc/ssl/certs",       "/etc/ssl/certs",       OPTIONAL},
    {ROOT_BIND_FILE,   "etc/ssl/openssl.cnf", "/etc/ssl/openssl.cnf", OPTIONAL},
    {ROOT_BIND_TREE,   "etc/ca-certificates", "/etc/ca-certificates", OPTIONAL},
    {ROOT_DIRECTORY,   "etc/pki", .mode = 0755},
    {ROOT_BIND_TREE,   "etc/pki/ca-trust",    "/etc/pki/ca-trust",    OPTIONAL},
    {ROOT_DIRECTORY,   "etc/pki/tls", .mode = 0755},
    {ROOT_BIND_TREE,   "etc/pki/tls/certs",   "/etc/pki/tls/certs",   OPTIONAL},

    /* Debian's Java keeps its settings there, and dies at the first look-up of a name without. */
    {ROOT_BIND_TREE,   "etc/java-11-openjdk", "/etc/java-11-openjdk", OPTIONAL},
    {ROOT_BIND_TREE,   "etc/java-17-openjdk", "/etc/java-17-openjdk", OPTIONAL},
    {ROOT_BIND_TREE,   "etc/java-21-openjdk", "/etc/java-21-openjdk", OPTIONAL},
    {ROOT_BIND_TREE,   "etc/java-25-openjdk", "/etc/java-25-openjdk", OPTIONAL},

    /* Devices. Agents may run programs from /tmp (measured: some unpack libraries there), so
     * noexec elsewhere would protect nothing. */
    {ROOT_DIRECTORY,   "dev", .mode = 0755},
    {ROOT_DEVICE,      "dev/null",    "/dev/null"},
    {ROOT_DEVICE,      "dev/zero",    "/dev/zero"},
    {ROOT_DEVICE,      "dev/full",    "/dev/full"},
    {ROOT_DEVICE,      "dev/random",  "/dev/random"},
    {ROOT_DEVICE,      "dev/urandom", "/dev/urandom"},
    {ROOT_DEVICE,      "dev/tty",     "/dev/tty"},
    {ROOT_TERMINALS,   "dev/pts"},
    {ROOT_LINK,        "dev/ptmx",    "pts/ptmx"},
    {ROOT_LINK,        "dev/fd",      "/proc/self/fd"},
    {ROOT_LINK,        "dev/stdin",   "/proc/self/fd/0"},
    {ROOT_LINK,        "dev/stdout",  "/proc/self/fd/1"},
    {ROOT_LINK,        "dev/stderr",  "/proc/self/fd/2"},
    {ROOT_TMPFS,       "dev/shm", .mode = 01777},

    /* What the agent can write besides its workspace: it ends with the agent. */
    {ROOT_TMPFS,       "tmp", .mode = 01777},
    {ROOT_DIRECTORY,   "home", .mode = 0755},
    {ROOT_AGENT_TMPFS, &CAGE_HOME[1], .mode = 0755},

    /* Folders that programs expect. */
    {ROOT_DIRECTORY,   "root",      .mode = 0700},
    {ROOT_DIRECTORY,   "run",       .mode = 0755},
    {ROOT_DIRECTORY,   "var",       .mode = 0755},
    {ROOT_DIRECTORY,   "var/cache", .mode = 0755},
    {ROOT_DIRECTORY,   "var/lib",   .mode = 0755},
    {ROOT_DIRECTORY,   "var/log",   .mode = 0755},
    {ROOT_LINK,        "var/run",   "../run"},
    {ROOT_LINK,        "var/tmp",   "../tmp"},
    {ROOT_DIRECTORY,   "var/empty", .mode = 0555},
    {ROOT_READ_ONLY,   "var/empty"},

    /* /proc: what tells of the host or steers it. The agent is not the host's root, so most of
     * this would be refused anyway. */
    {ROOT_READ_ONLY,   "proc/bus",           OPTIONAL},
    {ROOT_READ_ONLY,   "proc/fs",            OPTIONAL},
    {ROOT_READ_ONLY,   "proc/irq",           OPTIONAL},
    {ROOT_READ_ONLY,   "proc/sys"},
    {ROOT_MASK_TREE,   "proc/acpi",          OPTIONAL},
    {ROOT_MASK_TREE,   "proc/asound",        OPTIONAL},
    {ROOT_MASK_TREE,   "proc/driver",        OPTIONAL},
    {ROOT_MASK_TREE,   "proc/pressure",      OPTIONAL}, /* whoever writes to it makes work */
    {ROOT_MASK_TREE,   "proc/scsi",          OPTIONAL},
    {ROOT_MASK_FILE,   "proc/cmdline",       OPTIONAL},
    {ROOT_MASK_FILE,   "proc/interrupts",    OPTIONAL},
    {ROOT_MASK_FILE,   "proc/kallsyms",      OPTIONAL},
    {ROOT_MASK_FILE,   "proc/kcore",         OPTIONAL},
    {ROOT_MASK_FILE,   "proc/key-users",     OPTIONAL},
    {ROOT_MASK_FILE,   "proc/keys",          OPTIONAL},
    {ROOT_MASK_FILE,   "proc/kmsg",          OPTIONAL},
    {ROOT_MASK_FILE,   "proc/latency_stats", OPTIONAL},
    {ROOT_MASK_FILE,   "proc/locks",         OPTIONAL},
    {ROOT_MASK_FILE,   "proc/modules",       OPTIONAL},
    {ROOT_MASK_FILE,   "proc/sched_debug",   OPTIONAL},
    {ROOT_MASK_FILE,   "proc/sysrq-trigger", OPTIONAL},
    {ROOT_MASK_FILE,   "proc/timer_list",    OPTIONAL},
    {ROOT_MASK_FILE,   "proc/timer_stats",   OPTIONAL},
};
/* clang-format on */

const size_t root_table_size = ARRAY_SIZE(root_table);

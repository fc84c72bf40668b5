/* Attempts on files: the host's, devices, the kernel's files in /proc, what is read-only, and the
 * paths of the workspace. */
#include "attempts.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "util.h"

#define RACE_ROUNDS 20000

static int try_open(const char *path, int flags)
{
    AUTO_FD int fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0600);

    return fd < 0 ? negative_errno() : 0;
}

#define OPENS(function, path, flags)                                                               \
    static int function(char **arguments)                                                          \
    {                                                                                              \
        return try_open(path, flags);                                                              \
    }

OPENS(host_shadow, "/etc/shadow", O_RDONLY)
OPENS(host_ssh_keys, "/etc/ssh/ssh_host_ed25519_key", O_RDONLY)
OPENS(host_tls_keys, "/etc/ssl/private", O_RDONLY)
OPENS(host_packages, "/var/lib/dpkg", O_RDONLY)
OPENS(root_home, "/root", O_RDONLY | O_DIRECTORY)
OPENS(system_bus, "/run/dbus/system_bus_socket", O_RDONLY)
OPENS(daemon_socket, "/run/caged/caged.sock", O_RDONLY)
OPENS(sysfs, "/sys", O_RDONLY)
OPENS(cgroup_files, "/sys/fs/cgroup/cgroup.procs", O_WRONLY)
OPENS(disk, "/dev/sda", O_RDONLY)
OPENS(virtual_disk, "/dev/vda", O_RDONLY)
OPENS(memory_device, "/dev/mem", O_RDONLY)
OPENS(kernel_messages, "/dev/kmsg", O_RDONLY)
OPENS(kvm, "/dev/kvm", O_RDWR)
OPENS(tun, "/dev/net/tun", O_RDWR)
OPENS(fuse, "/dev/fuse", O_RDWR)
OPENS(host_console, "/dev/console", O_RDWR)
OPENS(init_root, "/proc/1/root/etc/shadow", O_RDONLY)
OPENS(init_environment, "/proc/1/environ", O_RDONLY)
OPENS(init_memory, "/proc/1/mem", O_RDWR)
OPENS(init_program, "/proc/1/exe", O_WRONLY)
OPENS(init_descriptors, "/proc/1/fd", O_RDONLY)
OPENS(init_mounts, "/proc/1/ns/mnt", O_RDONLY)
OPENS(core_pattern, "/proc/sys/kernel/core_pattern", O_WRONLY)
OPENS(module_helper, "/proc/sys/kernel/modprobe", O_WRONLY)
OPENS(host_name_sysctl, "/proc/sys/kernel/hostname", O_WRONLY)
OPENS(forwarding_sysctl, "/proc/sys/net/ipv4/ip_forward", O_WRONLY)
OPENS(write_passwd, "/etc/passwd", O_WRONLY)
OPENS(create_in_etc, "/etc/ld.so.preload", O_WRONLY | O_CREAT)
OPENS(create_in_usr, "/usr/bin/escape-x", O_WRONLY | O_CREAT)
OPENS(create_in_root, "/escape-x", O_WRONLY | O_CREAT)
OPENS(create_in_dev, "/dev/escape-x", O_WRONLY | O_CREAT)
OPENS(create_in_run, "/run/escape-x", O_WRONLY | O_CREAT)
OPENS(workspace_dotdot, "/workspace/../../../../etc/shadow", O_RDONLY)

static int result_of(int r)
{
    return r < 0 ? negative_errno() : 0;
}

static int unlink_in_usr(char **arguments)
{
    return result_of(unlink("/usr/bin/env"));
}

static int chmod_usr(char **arguments)
{
    return result_of(chmod("/usr/bin/env", 0777));
}

static int chmod_null(char **arguments)
{
    return result_of(chmod("/dev/null", 0600));
}

static int touch_null(char **arguments)
{
    return result_of(utimensat(AT_FDCWD, "/dev/null", NULL, 0));
}

static int unlink_passwd(char **arguments)
{
    return result_of(unlink("/etc/passwd"));
}

static int chown_workspace(char **arguments)
{
    return result_of(chown("/workspace", 0, 0));
}

static int file_capability(char **arguments)
{
    static const uint32_t all[5] = {0x02000001, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
    const char *path = "/workspace/escape-capability";
    int r = try_open(path, O_WRONLY | O_CREAT);

    if (r >= 0)
        r = result_of(setxattr(path, "security.capability", all, sizeof(all), 0));
    (void)unlink(path);
    return r;
}

/* Refused with ENODATA if there is nothing to read in it: covered, empty or not there. */
static int read_masked(const char *path)
{
    char byte;
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return errno == ENOENT ? -ENODATA : negative_errno();
    return read(fd, &byte, 1) > 0 ? 0 : -ENODATA;
}

#define MASKED(function, path)                                                                     \
    static int function(char **arguments)                                                          \
    {                                                                                              \
        return read_masked(path);                                                                  \
    }

MASKED(masked_kcore, "/proc/kcore")
MASKED(masked_keys, "/proc/keys")
MASKED(masked_kallsyms, "/proc/kallsyms")
MASKED(masked_interrupts, "/proc/interrupts")
MASKED(masked_timers, "/proc/timer_list")
MASKED(masked_command_line, "/proc/cmdline")
MASKED(masked_kmsg, "/proc/kmsg")
MASKED(masked_pressure, "/proc/pressure/cpu")
MASKED(masked_locks, "/proc/locks")

/* Refused if what can be written is not the kernel's file but the cover. */
static int sysrq(char **arguments)
{
    struct stat st;
    AUTO_FD int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? -ENODATA : negative_errno();
    if (fstat(fd, &st) < 0)
        return 0;
    return S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) ? -ENODATA : 0;
}

/* The agent's own home is the only one: refused with ENOENT. */
static int other_homes(char **arguments)
{
    DIR *folder = opendir("/home");
    const struct dirent *entry;
    int r = -ENOENT;

    if (!folder)
        return negative_errno();
    while ((entry = readdir(folder)))
        if (entry->d_name[0] != '.' && !streq(entry->d_name, "agent"))
            r = 0;
    (void)closedir(folder);
    return r;
}

static int usr_honours_setuid(char **arguments)
{
    struct statvfs usr, workspace;

    if (statvfs("/usr", &usr) < 0 || statvfs("/workspace", &workspace) < 0)
        return 0;
    return (usr.f_flag & ST_NOSUID) && (workspace.f_flag & ST_NOSUID) ? -EPERM : 0;
}

/* -- the workspace -- */

static int planted_link(char **arguments)
{
    int r = result_of(symlink("/etc/shadow", "/workspace/escape-link"));

    if (r < 0)
        return r;
    r = try_open("/workspace/escape-link", O_RDONLY);
    (void)unlink("/workspace/escape-link");
    return r;
}

static int link_into_workspace(char **arguments)
{
    return result_of(link("/usr/bin/env", "/workspace/escape-env"));
}

static int link_out_of_workspace(char **arguments)
{
    int r = try_open("/workspace/escape-file", O_WRONLY | O_CREAT);

    if (r >= 0)
        r = result_of(link("/workspace/escape-file", "/tmp/escape-file"));
    (void)unlink("/workspace/escape-file");
    return r;
}

static int rename_out_of_workspace(char **arguments)
{
    int r = result_of(mkdir("/workspace/escape-folder", 0755));

    if (r >= 0)
        r = result_of(rename("/workspace/escape-folder", "/tmp/escape-folder"));
    (void)rmdir("/workspace/escape-folder");
    return r;
}

static NORETURN void swap_forever(void)
{
    for (;;)
        (void)renameat2(AT_FDCWD, "/workspace/escape-a", AT_FDCWD, "/workspace/escape-b",
                        RENAME_EXCHANGE);
}

static void remove_either(const char *path)
{
    if (unlink(path) < 0)
        (void)rmdir(path);
}

/* One name is now a folder, now a link to the root; whatever is walked over it must end inside. */
static int swap_race(char **arguments)
{
    int r = -ENOENT;

    if (mkdir("/workspace/escape-a", 0755) < 0 || symlink("/", "/workspace/escape-b") < 0)
        return negative_errno();
    pid_t pid = fork();
    if (pid == 0)
        swap_forever();
    for (int i = 0; r == -ENOENT && i < RACE_ROUNDS; i++) {
        r = try_open("/workspace/escape-a/../../etc/shadow", O_RDONLY);
        if (r == -ENOENT)
            r = try_open("/workspace/escape-b/etc/shadow", O_RDONLY);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    remove_either("/workspace/escape-a");
    remove_either("/workspace/escape-b");
    return r;
}

/* A file of the host by its path, for tests that know one. */
static int host_path(char **arguments)
{
    return arguments[0] ? try_open(arguments[0], O_RDONLY) : -EINVAL;
}

const struct attempt file_attempts[] = {
    {"host-shadow", host_shadow, {ENOENT}},
    {"host-ssh-keys", host_ssh_keys, {ENOENT}},
    {"host-tls-keys", host_tls_keys, {ENOENT}},
    {"host-packages", host_packages, {ENOENT}},
    {"root-home", root_home, {EACCES}},
    {"other-homes", other_homes, {ENOENT}},
    {"system-bus", system_bus, {ENOENT}},
    {"daemon-socket", daemon_socket, {ENOENT}},
    {"sysfs", sysfs, {ENOENT}},
    {"cgroup-files", cgroup_files, {ENOENT}},
    {"disk", disk, {ENOENT}},
    {"virtual-disk", virtual_disk, {ENOENT}},
    {"memory-device", memory_device, {ENOENT}},
    {"kernel-messages", kernel_messages, {ENOENT}},
    {"kvm", kvm, {ENOENT}},
    {"tun", tun, {ENOENT}},
    {"fuse", fuse, {ENOENT}},
    {"host-console", host_console, {ENOENT}},
    {"init-root", init_root, {ENOENT}},
    {"init-environment", init_environment, {ENOENT}},
    {"init-memory", init_memory, {ENOENT}},
    {"init-program", init_program, {ENOENT}},
    {"init-descriptors", init_descriptors, {ENOENT}},
    {"init-mounts", init_mounts, {ENOENT}},
    {"core-pattern", core_pattern, {EACCES}},
    {"module-helper", module_helper, {EACCES, ENOENT}},
    {"host-name-sysctl", host_name_sysctl, {EACCES}},
    {"forwarding-sysctl", forwarding_sysctl, {EACCES}},
    {"write-passwd", write_passwd, {EACCES}},
    {"unlink-passwd", unlink_passwd, {EROFS}},
    {"create-in-etc", create_in_etc, {EROFS}},
    {"create-in-usr", create_in_usr, {EROFS}},
    {"create-in-root", create_in_root, {EROFS}},
    {"create-in-dev", create_in_dev, {EROFS}},
    {"create-in-run", create_in_run, {EROFS}},
    {"unlink-in-usr", unlink_in_usr, {EROFS}},
    {"chmod-usr", chmod_usr, {EROFS}},
    {"chmod-null", chmod_null, {EROFS}},
    {"touch-null", touch_null, {EROFS}},
    {"chown-workspace", chown_workspace, {EOVERFLOW}},
    {"file-capability", file_capability, {EPERM}},
    {"masked-kcore", masked_kcore, {ENODATA}},
    {"masked-keys", masked_keys, {ENODATA}},
    {"masked-kallsyms", masked_kallsyms, {ENODATA}},
    {"masked-interrupts", masked_interrupts, {ENODATA}},
    {"masked-timers", masked_timers, {ENODATA}},
    {"masked-command-line", masked_command_line, {ENODATA}},
    {"masked-kmsg", masked_kmsg, {ENODATA}},
    {"masked-pressure", masked_pressure, {ENODATA}},
    {"masked-locks", masked_locks, {ENODATA}},
    {"sysrq", sysrq, {ENODATA}},
    {"usr-honours-setuid", usr_honours_setuid, {EPERM}},
    {"workspace-dotdot", workspace_dotdot, {ENOENT}},
    {"planted-link", planted_link, {ENOENT}},
    {"link-into-workspace", link_into_workspace, {EXDEV}},
    {"link-out-of-workspace", link_out_of_workspace, {EXDEV}},
    {"rename-out-of-workspace", rename_out_of_workspace, {EXDEV}},
    {"swap-race", swap_race, {ENOENT}},
    {"host-path", host_path, {ENOENT}, "PATH"},
};
const size_t n_file_attempts = ARRAY_SIZE(file_attempts);

/* daemon/process/seccomp-profile.{c,h}: bad profiles are refused by name; what the program answers
 * is asked of the program itself, by a small interpreter of BPF (linux/filter.h), since a test that
 * installed it could ask only once. The shipped profile is among them. */
#include "unit-test.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../../daemon/process/seccomp-profile.h"
#include "fd-io.h"
#include "util.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define NATIVE_NAME "SCMP_ARCH_X86_64"
#define FOREIGN AUDIT_ARCH_I386
#else
#define NATIVE AUDIT_ARCH_AARCH64
#define NATIVE_NAME "SCMP_ARCH_AARCH64"
#define FOREIGN AUDIT_ARCH_ARM
#endif

#define ALLOWED SECCOMP_RET_ALLOW
#define REFUSED(error) (SECCOMP_RET_ERRNO | (error))

struct program {
    const struct sock_filter *code;
    size_t n;
    size_t size;
};

/* The instructions that libseccomp and the compiler emit; any other fails the test. */
static uint32_t program_answer(const struct program *p, const struct seccomp_data *data)
{
    uint32_t a = 0;

    for (size_t pc = 0; pc < p->n; pc++) {
        const struct sock_filter *f = &p->code[pc];
        bool jump;

        switch (f->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&a, (const uint8_t *)data + f->k, sizeof(a));
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= f->k;
            continue;
        case BPF_RET | BPF_K:
            return f->k;
        case BPF_JMP | BPF_JA:
            pc += f->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            jump = a == f->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            jump = a > f->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            jump = a >= f->k;
            break;
        default:
            fail_msg("instruction %zu has the unexpected code %#x", pc, f->code);
            return 0;
        }
        pc += jump ? f->jt : f->jf;
    }
    fail_msg("the program ends without an answer");
    return 0;
}

static uint32_t ask(const struct program *p, long number, uint64_t a0, uint64_t a1, uint64_t a2,
                    uint64_t a3)
{
    const struct seccomp_data data = {(int)number, NATIVE, 0, {a0, a1, a2, a3}};

    return program_answer(p, &data);
}

static struct program load(const char *path)
{
    struct program p = {};
    const void *map;
    char *why;
    size_t n;
    int fd, r = seccomp_profile_compile(path, &fd, &n, &why);

    if (r < 0)
        fail_msg("%s: %s", path, why ? why : strerror(-r));
    assert_int_equal(memfd_map_sealed(fd, BPF_MAXINSNS * sizeof(*p.code), &map, &p.size), 0);
    fd_close(fd);
    assert_int_equal(p.size, n * sizeof(*p.code));
    p.code = map;
    p.n = n;
    return p;
}

static void unload(struct program *p)
{
    (void)munmap((void *)p->code, p->size);
}

/* A profile as a file of its own; the caller removes it. */
static void write_profile(char path[static 64], const char *text)
{
    (void)snprintf(path, 64, "/tmp/test-seccomp-XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
    fd_close(fd);
}

static struct program load_text(const char *text)
{
    char path[64];

    write_profile(path, text);
    struct program p = load(path);
    (void)unlink(path);
    return p;
}

#define PROFILE(entries)                                                                           \
    "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, \"syscalls\": [" entries "]" \
    "}"

static void first_match_decides(void **state)
{
    struct program p = load_text(PROFILE(
        "{\"names\": [\"ioctl\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 5, \"args\": "
        "[{\"index\": 1, \"value\": 4294967295, \"valueTwo\": 7, \"op\": \"SCMP_CMP_MASKED_EQ\"}]},"
        "{\"names\": [\"ioctl\", \"getpid\"], \"action\": \"SCMP_ACT_ALLOW\"},"
        "{\"names\": [\"getpid\", \"getuid\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 6},"
        "{\"names\": [\"getuid\", \"getgid\"], \"action\": \"SCMP_ACT_ALLOW\"}"));

    assert_int_equal(ask(&p, SYS_ioctl, 0, 7, 0, 0), REFUSED(5));
    assert_int_equal(ask(&p, SYS_ioctl, 0, 0x900000007, 0, 0), REFUSED(5));
    assert_int_equal(ask(&p, SYS_ioctl, 0, 8, 0, 0), ALLOWED);
    assert_int_equal(ask(&p, SYS_getpid, 0, 0, 0, 0), ALLOWED);
    assert_int_equal(ask(&p, SYS_getuid, 0, 0, 0, 0), REFUSED(6));
    assert_int_equal(ask(&p, SYS_getgid, 0, 0, 0, 0), ALLOWED);
    assert_int_equal(ask(&p, SYS_getppid, 0, 0, 0, 0), REFUSED(38));
    unload(&p);
}

static void empty_profile_refuses_all(void **state)
{
    struct program p = load_text(PROFILE(""));

    for (long number = 0; number < 600; number++)
        assert_int_equal(ask(&p, number, 0, 0, 0, 0), REFUSED(38));
    unload(&p);
}

static void other_architectures_get_the_default(void **state)
{
    struct program p =
        load_text(PROFILE("{\"names\": [\"getpid\", \"getuid\"], \"action\": \"SCMP_ACT_ALLOW\"}"));

    for (int number = 0; number < 600; number++) {
        const struct seccomp_data data = {number, FOREIGN, 0, {}};
        assert_int_equal(program_answer(&p, &data), REFUSED(38));
        assert_int_equal(ask(&p, 0x40000000 | number, 0, 0, 0, 0), REFUSED(38));
    }
    unload(&p);
}

static void unknown_names_stay_refused(void **state)
{
    struct program p = load_text(
        PROFILE("{\"names\": [\"no_such_call\", \"getpid\"], \"action\": \"SCMP_ACT_ALLOW\"}"));

    assert_int_equal(ask(&p, SYS_getpid, 0, 0, 0, 0), ALLOWED);
    assert_int_equal(ask(&p, 4000, 0, 0, 0, 0), REFUSED(38));
    unload(&p);
}

#define ENTRY(args) PROFILE("{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\"" args "}")

static void bad_profiles_are_refused_by_name(void **state)
{
    static const struct {
        const char *text;
        const char *named;
    } bad[] = {
        {"", "line"},
        {"[]", "object"},
        {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38}", "syscalls"},
        {"{\"defaultAction\": \"SCMP_ACT_KILL\", \"defaultErrnoRet\": 38, \"syscalls\": []}",
         "defaultAction"},
        {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": 38, \"syscalls\": []}",
         "defaultAction"},
        {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 4096, \"syscalls\": []}",
         "defaultErrnoRet"},
        {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, \"syscalls\": {}}",
         "syscalls"},
        {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, \"syscalls\": [], "
         "\"archMap\": [{\"architecture\": \"SCMP_ARCH_S390X\"}]}",
         "architecture"},
        {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, \"syscalls\": [], "
         "\"architectures\": [\"SCMP_ARCH_NONE_SUCH\"]}",
         "SCMP_ARCH_NONE_SUCH"},
        {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, \"flags\": [], "
         "\"syscalls\": []}",
         "flags"},
        {PROFILE("7"), "syscalls[0]"},
        {PROFILE("{\"names\": [7], \"action\": \"SCMP_ACT_ALLOW\"}"), "syscalls[0]"},
        {PROFILE("{\"names\": [], \"action\": \"SCMP_ACT_TRAP\"}"), "action"},
        {PROFILE("{\"names\": []}"), "action"},
        {PROFILE("{\"names\": [], \"action\": \"SCMP_ACT_ALLOW\"}, {\"action\": \"x\"}"),
         "syscalls[1]"},
        {ENTRY(", \"errnoRet\": 1"), "errno"},
        {ENTRY(", \"includes\": {}"), "includes"},
        {ENTRY(", \"args\": [7]"), "syscalls[0]"},
        {ENTRY(", \"args\": [{\"index\": 6, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]"), "index"},
        {ENTRY(", \"args\": [{\"index\": 0, \"value\": -1, \"op\": \"SCMP_CMP_EQ\"}]"), "negative"},
        {ENTRY(", \"args\": [{\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_LIKE\"}]"),
         "SCMP_CMP_LIKE"},
        {ENTRY(", \"args\": [{\"index\": 0, \"value\": 1}]"), "op"},
        {ENTRY(", \"args\": [{\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"},"
               "{\"index\": 0, \"value\": 2, \"op\": \"SCMP_CMP_EQ\"}]"),
         "twice"},
        {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultAction\": \"SCMP_ACT_ERRNO\", "
         "\"defaultErrnoRet\": 38, \"syscalls\": []}",
         "duplicate"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO_FREE char *why = NULL;
        char path[64];
        size_t n;
        int fd = -1;

        write_profile(path, bad[i].text);
        assert_int_equal(seccomp_profile_compile(path, &fd, &n, &why), -EINVAL);
        (void)unlink(path);
        assert_int_equal(fd, -1);
        assert_non_null(why);
        if (!strstr(why, bad[i].named))
            fail_msg("\"%s\" does not name %s", why, bad[i].named);
    }
}

static void missing_file_says_so(void **state)
{
    AUTO_FREE char *why = NULL;
    size_t n;
    int fd;

    assert_int_equal(seccomp_profile_compile("/nonexistent/profile", &fd, &n, &why), -ENOENT);
    assert_non_null(why);
}

/* -- the shipped profile -- */

static struct program load_shipped(void)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s", __FILE__);

    assert_true(n > 0 && (size_t)n < sizeof(path) - 64);
    char *slash = strrchr(path, '/');
    assert_non_null(slash);
    (void)snprintf(slash, 64, "/../../policy/seccomp/default.json");
    return load(path);
}

/* What five real agents were measured to call, and what compilers and version control need. */
static void shipped_allows_what_agents_need(void **state)
{
    static const long calls[] = {
        SYS_accept4,
        SYS_bind,
        SYS_brk,
        SYS_capget,
        SYS_chdir,
        SYS_clock_gettime,
        SYS_clock_nanosleep,
        SYS_close,
        SYS_close_range,
        SYS_connect,
        SYS_copy_file_range,
        SYS_dup,
        SYS_dup3,
        SYS_epoll_create1,
        SYS_epoll_ctl,
        SYS_epoll_pwait,
        SYS_epoll_pwait2,
        SYS_eventfd2,
        SYS_execve,
        SYS_exit,
        SYS_exit_group,
        SYS_faccessat2,
        SYS_fadvise64,
        SYS_fallocate,
        SYS_fchdir,
        SYS_fcntl,
        SYS_flock,
        SYS_fstat,
        SYS_fstatfs,
        SYS_fsync,
        SYS_ftruncate,
        SYS_futex,
        SYS_get_mempolicy,
        SYS_getcwd,
        SYS_getdents64,
        SYS_getgroups,
        SYS_getpid,
        SYS_getrandom,
        SYS_getrusage,
        SYS_getsockname,
        SYS_getsockopt,
        SYS_gettid,
        SYS_getxattr,
        SYS_inotify_add_watch,
        SYS_inotify_init1,
        SYS_inotify_rm_watch,
        SYS_kill,
        SYS_lgetxattr,
        SYS_listen,
        SYS_lseek,
        SYS_madvise,
        SYS_mmap,
        SYS_mprotect,
        SYS_munmap,
        SYS_nanosleep,
        SYS_newfstatat,
        SYS_pidfd_open,
        SYS_pipe2,
        SYS_pkey_alloc,
        SYS_prctl,
        SYS_pread64,
        SYS_preadv2,
        SYS_prlimit64,
        SYS_pwrite64,
        SYS_pwritev,
        SYS_read,
        SYS_readlinkat,
        SYS_readv,
        SYS_recvfrom,
        SYS_recvmsg,
        SYS_renameat2,
        SYS_restart_syscall,
        SYS_rseq,
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
        SYS_rt_sigreturn,
        SYS_rt_sigsuspend,
        SYS_sched_getaffinity,
        SYS_sched_setscheduler,
        SYS_sched_yield,
        SYS_sendmsg,
        SYS_sendto,
        SYS_set_mempolicy,
        SYS_set_robust_list,
        SYS_set_tid_address,
        SYS_setpgid,
        SYS_setsid,
        SYS_setsockopt,
        SYS_shutdown,
        SYS_sigaltstack,
        SYS_statfs,
        SYS_statx,
        SYS_symlinkat,
        SYS_sysinfo,
        SYS_tgkill,
        SYS_timerfd_create,
        SYS_timerfd_settime,
        SYS_umask,
        SYS_uname,
        SYS_unlinkat,
        SYS_utimensat,
        SYS_wait4,
        SYS_write,
        SYS_writev,
        /* compilers, version control, interpreters */
        SYS_memfd_create,
        SYS_splice,
        SYS_sendfile,
        SYS_getcpu,
        SYS_membarrier,
        SYS_timer_create,
        SYS_mlock,
        SYS_mincore,
        SYS_waitid,
        SYS_linkat,
        SYS_fdatasync,
        SYS_ppoll,
        SYS_pselect6,
        SYS_seccomp,
        SYS_setitimer,
        SYS_mremap,
        SYS_semget,
        SYS_shmget,
#ifdef __x86_64__
        SYS_access,
        SYS_arch_prctl,
        SYS_dup2,
        SYS_epoll_wait,
        SYS_getpgrp,
        SYS_link,
        SYS_lstat,
        SYS_poll,
        SYS_readlink,
        SYS_rename,
        SYS_rmdir,
        SYS_stat,
        SYS_symlink,
        SYS_unlink,
        SYS_vfork,
#endif
    };
    struct program p = load_shipped();

    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        if (ask(&p, calls[i], 0, 0, 0, 0) != ALLOWED)
            fail_msg("system call %ld is not allowed", calls[i]);
    unload(&p);
}

static void shipped_looks_at_arguments(void **state)
{
    static const struct {
        uint32_t answer;
        long number;
        uint64_t a[4];
    } cases[] = {
        {ALLOWED, SYS_clone, {SIGCHLD | CLONE_VM | CLONE_VFORK}},
        {ALLOWED, SYS_clone, {CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD}},
        {REFUSED(EPERM), SYS_clone, {SIGCHLD | CLONE_NEWUSER}},
        {REFUSED(EPERM), SYS_clone, {SIGCHLD | CLONE_NEWNS | CLONE_NEWPID}},
        {REFUSED(EPERM), SYS_clone, {SIGCHLD | CLONE_NEWCGROUP}},
        {REFUSED(ENOSYS), SYS_clone3, {0}},
        {REFUSED(ENOSYS), SYS_openat2, {0}},
        {ALLOWED, SYS_socket, {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC}},
        {ALLOWED, SYS_socket, {AF_UNIX, SOCK_SEQPACKET}},
        {ALLOWED, SYS_socket, {AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 6}},
        {ALLOWED, SYS_socket, {AF_INET6, SOCK_DGRAM, 17}},
        {ALLOWED, SYS_socket, {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0}},
        {REFUSED(EAFNOSUPPORT), SYS_socket, {AF_NETLINK, SOCK_RAW, 12}},
        {REFUSED(EAFNOSUPPORT), SYS_socket, {AF_INET, SOCK_RAW, 1}},
        {REFUSED(EAFNOSUPPORT), SYS_socket, {AF_INET, SOCK_STREAM, 132}},
        {REFUSED(EAFNOSUPPORT), SYS_socket, {AF_PACKET, SOCK_RAW}},
        {REFUSED(EAFNOSUPPORT), SYS_socket, {UINT64_C(0x100000001), SOCK_STREAM}},
        {ALLOWED, SYS_socketpair, {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC}},
        {REFUSED(EAFNOSUPPORT), SYS_socketpair, {AF_VSOCK, SOCK_STREAM}},
        {REFUSED(EAFNOSUPPORT), SYS_socketpair, {AF_INET, SOCK_STREAM}},
        {ALLOWED, SYS_setsockopt, {0, SOL_SOCKET, SO_REUSEADDR}},
        {ALLOWED, SYS_setsockopt, {0, 6, SO_ATTACH_FILTER}},
        {REFUSED(EPERM), SYS_setsockopt, {0, SOL_SOCKET, SO_ATTACH_FILTER}},
        {REFUSED(EPERM), SYS_setsockopt, {0, UINT64_C(0x700000001), UINT64_C(0x70000001a)}},
        {REFUSED(EPERM), SYS_mmap, {0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB}},
        {REFUSED(EPERM), SYS_memfd_create, {0, MFD_CLOEXEC | MFD_HUGETLB}},
        {REFUSED(ENOSYS), SYS_io_setup, {1}},
        {ALLOWED, SYS_ioctl, {0, 0x5401}},
        {ALLOWED, SYS_ioctl, {0, 0x5413}},
        {REFUSED(EPERM), SYS_ioctl, {0, 0x5412}},
        {REFUSED(EPERM), SYS_ioctl, {0, UINT64_C(0xabc00005412)}},
        {ALLOWED, SYS_openat, {0, 0, O_CREAT | O_WRONLY, 0755}},
        {ALLOWED, SYS_openat, {0, 0, O_RDONLY, 04755}}, /* no file is made: the mode is noise */
        {REFUSED(EPERM), SYS_openat, {0, 0, O_CREAT, 04755}},
        {REFUSED(EPERM), SYS_openat, {0, 0, O_TMPFILE | O_RDWR, 02755}},
        {ALLOWED, SYS_fchmodat, {0, 0, 01777}},
        {REFUSED(EPERM), SYS_fchmodat, {0, 0, 04000}},
        {REFUSED(EPERM), SYS_fchmod, {0, 02000}},
        {REFUSED(EPERM), SYS_mkdirat, {0, 0, 02755}},
        {ALLOWED, SYS_mknodat, {0, 0, S_IFIFO | 0644}},
        {REFUSED(EPERM), SYS_mknodat, {0, 0, S_IFCHR | 0644}},
        {REFUSED(EPERM), SYS_mknodat, {0, 0, S_IFREG | 04755}},
        {ALLOWED, SYS_personality, {0xffffffff}},
        {REFUSED(EPERM), SYS_personality, {0x0400000}},
        {REFUSED(EPERM), SYS_mount, {0}},
        {REFUSED(EPERM), SYS_ptrace, {0}},
        {REFUSED(EPERM), SYS_unshare, {0}},
        {REFUSED(EPERM), SYS_io_uring_setup, {0}},
        {REFUSED(ENOSYS), 4000, {0}},
    };
    struct program p = load_shipped();

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const uint64_t *a = cases[i].a;
        uint32_t answer = ask(&p, cases[i].number, a[0], a[1], a[2], a[3]);
        if (answer != cases[i].answer)
            fail_msg("case %zu: %#x, expected %#x", i, answer, cases[i].answer);
    }
    unload(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_match_decides),
        cmocka_unit_test(empty_profile_refuses_all),
        cmocka_unit_test(other_architectures_get_the_default),
        cmocka_unit_test(unknown_names_stay_refused),
        cmocka_unit_test(bad_profiles_are_refused_by_name),
        cmocka_unit_test(missing_file_says_so),
        cmocka_unit_test(shipped_allows_what_agents_need),
        cmocka_unit_test(shipped_looks_at_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

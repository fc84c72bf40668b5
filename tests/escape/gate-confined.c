/* What could caged-gate do if it were taken over? This links the gate's own confinement, enters it
 * with the uid that it is given, and tries. Each line of the output is a call and what came of it
 * ("open EPERM"); test_gate_confinement.py knows what it has to be. Standard input is a listening
 * TCP socket, on which accept must still work; standard output is a socket, since only to one may
 * anything be said. Both are inherited, and so the parent's as well.
 *
 * Every call that there may be is made, by its number, unless it is one of those that a gate needs;
 * what those could be led to do is tried one by one. A call that a gate comes to need stands in
 * `needed`, and what it must not do with it in a TRY. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "caged-limits.h"
#include "daemon/gate/confine.h"
#include "util.h"

/* With arguments or without, these are allowed. */
static const long needed[] = {
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#else
    SYS_epoll_pwait,
#endif
    SYS_epoll_ctl,  SYS_clock_gettime, SYS_gettimeofday, SYS_recvfrom,  SYS_sendto,
    SYS_writev,     SYS_close,         SYS_accept4,      SYS_socket,    SYS_connect,
    SYS_shutdown,   SYS_getsockopt,    SYS_setsockopt,   SYS_fcntl,     SYS_brk,
    SYS_mmap,       SYS_munmap,        SYS_getrandom,    SYS_exit_group};

/* uretprobe and uprobe of x86-64: no filter is asked about them (kernel/seccomp.c), and outside of
 * a probe they do nothing but raise SIGILL. */
#define PROBE_FIRST 335
#define PROBE_LAST 336

#define LAST_CALL 1023          /* Linux has some 470 now */
#define OTHER_TABLE 0x40000000L /* of x86-64: where the calls of x32 begin */
#define HIGH_BITS 0x100000000UL /* more than the kernel looks at, where it takes an int */

static void report(const char *what, long result)
{
    char line[128];
    int n =
        snprintf(line, sizeof(line), "%s %s\n", what, result >= 0 ? "ok" : strerrorname_np(errno));
    (void)!send(STDOUT_FILENO, line, (size_t)n, 0);
}

#define TRY(name, ...) report(name, syscall(__VA_ARGS__))

static bool is_needed(long number)
{
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
        if (number == needed[i])
            return true;
    return false;
}

static bool is_probe(long number)
{
#ifdef __x86_64__
    return number >= PROBE_FIRST && number <= PROBE_LAST;
#else
    return false;
#endif
}

/* Every call of a table, with nothing in its arguments; those that were not refused are told of. */
static void try_all(const char *name, long first)
{
    long refused = 0, tried = 0;
    char what[32];

    for (long number = 0; number <= LAST_CALL; number++) {
        if ((first == 0 && is_needed(number)) || is_probe(number))
            continue;
        long result = syscall(first + number, 0, 0, 0, 0, 0, 0);
        tried++;
        if (result == -1 && errno == EPERM) {
            refused++;
            continue;
        }
        (void)snprintf(what, sizeof(what), "%s-%ld", name, number);
        report(what, result);
    }
    errno = EPERM;
    report(name, refused == tried ? -1 : 0);
}

/* The same calls by their old numbers, in the way of 32-bit programs: 20 is getpid. */
static void try_old_way(void)
{
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    errno = (int)-result;
    report("int80", result < 0 ? -1 : 0);
#else
    errno = EPERM;
    report("int80", -1);
#endif
}

static void try_files(void)
{
    TRY("open", SYS_openat, AT_FDCWD, "/", O_RDONLY);
    TRY("open-proc", SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR);
    TRY("openat2", SYS_openat2, AT_FDCWD, ".", NULL, 0);
    TRY("mkdir", SYS_mkdirat, AT_FDCWD, "/x", 0700);
    TRY("stat", SYS_newfstatat, AT_FDCWD, "/", NULL, 0);
    TRY("chdir", SYS_chdir, "..");
    TRY("chroot", SYS_chroot, ".");
    TRY("mount", SYS_mount, "none", "/", "tmpfs", 0, NULL);
    TRY("fsopen", SYS_fsopen, "tmpfs", 0);
    TRY("open_tree", SYS_open_tree, AT_FDCWD, "/", 1);
    TRY("memfd_create", SYS_memfd_create, "x", 0);
    TRY("memfd_secret", SYS_memfd_secret, 0);
    TRY("read", SYS_read, STDIN_FILENO, NULL, 0);
    TRY("io_uring_setup", SYS_io_uring_setup, 1, NULL);
    TRY("userfaultfd", SYS_userfaultfd, 0);
}

static void try_processes(void)
{
    const struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};

    TRY("execve", SYS_execve, "/bin/sh", NULL, NULL);
    TRY("execveat", SYS_execveat, STDIN_FILENO, "", NULL, NULL, AT_EMPTY_PATH);
    TRY("clone", SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    TRY("clone-thread", SYS_clone, 0x10f00, NULL, NULL, NULL, NULL);
    TRY("clone3", SYS_clone3, NULL, 0);
    TRY("unshare", SYS_unshare, 0x10000000);
    TRY("setns", SYS_setns, STDIN_FILENO, 0);
    TRY("ptrace", SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL);
    TRY("ptrace-seize", SYS_ptrace, PTRACE_SEIZE, getppid(), NULL, NULL);
    TRY("process_vm_readv", SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
    TRY("process_vm_writev", SYS_process_vm_writev, getppid(), NULL, 0, NULL, 0, 0);
    TRY("kill", SYS_kill, -1, 0);
    TRY("tgkill", SYS_tgkill, 1, 1, 0);
    TRY("rt_sigqueueinfo", SYS_rt_sigqueueinfo, 1, 0, NULL);
    TRY("pidfd_open", SYS_pidfd_open, 1, 0);
    TRY("pidfd_send_signal", SYS_pidfd_send_signal, 0, 0, NULL, 0);
    TRY("pidfd_getfd", SYS_pidfd_getfd, 0, 0, 0);
    TRY("setuid", SYS_setuid, 0);
    TRY("setresuid", SYS_setresuid, 0, 0, 0);
    TRY("setgroups", SYS_setgroups, 0, NULL);
    TRY("capset", SYS_capset, NULL, NULL);
    TRY("prctl-dumpable", SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
    TRY("prctl-keepcaps", SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
    TRY("prctl-pdeathsig", SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0);
    TRY("prlimit", SYS_prlimit64, 0, RLIMIT_NOFILE, &more, NULL);
    TRY("prlimit-parent", SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, NULL);
    TRY("setrlimit", SYS_setrlimit, RLIMIT_DATA, &more);
    TRY("seccomp", SYS_seccomp, 0, 0, NULL);
    TRY("bpf", SYS_bpf, 0, NULL, 0);
    TRY("perf_event_open", SYS_perf_event_open, NULL, 0, -1, -1, 0);
    TRY("keyctl", SYS_keyctl, 0, 0, 0, 0, 0);
    TRY("add_key", SYS_add_key, "user", "x", "y", 1, -3);
    TRY("sched_setaffinity", SYS_sched_setaffinity, 0, 0, NULL);
    TRY("setpriority", SYS_setpriority, PRIO_PROCESS, 0, -20);
    TRY("sigaction", SYS_rt_sigaction, SIGTERM, NULL, NULL, 8);
}

static void try_memory(void)
{
    const unsigned long anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, (int)anonymous, -1, 0);

    report("mmap", page == MAP_FAILED ? -1 : 0);
    TRY("mprotect-exec", SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
    TRY("mprotect", SYS_mprotect, page, 4096, PROT_READ);
    TRY("pkey_mprotect", SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1);
    TRY("mremap", SYS_mremap, page, 4096, 8192, MREMAP_MAYMOVE);
    TRY("mmap-exec", SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, anonymous, -1, 0);
    TRY("mmap-file", SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
    TRY("mmap-shared", SYS_mmap, NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TRY("mmap-fixed", SYS_mmap, page, 4096, PROT_READ, anonymous | MAP_FIXED, -1, 0);
    TRY("mmap-huge", SYS_mmap, NULL, 4096, PROT_READ, anonymous | MAP_HUGETLB, -1, 0);
    TRY("mmap-locked", SYS_mmap, NULL, 4096, PROT_READ, anonymous | MAP_LOCKED, -1, 0);
    TRY("mmap-high-bits", SYS_mmap, NULL, 4096, HIGH_BITS | PROT_EXEC, anonymous, -1, 0);
    TRY("shmget", SYS_shmget, 1, 4096, 01600);
}

/* What goes through a pipe goes from socket to socket, and no other way. */
static void try_splicing(void)
{
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    loff_t offset = 0;
    int pipe[2];

    TRY("pipe", SYS_pipe, pipe);
    TRY("pipe2-blocking", SYS_pipe2, pipe, O_CLOEXEC);
    TRY("pipe2-packets", SYS_pipe2, pipe, O_CLOEXEC | O_NONBLOCK | O_DIRECT);
    TRY("pipe2", SYS_pipe2, pipe, O_CLOEXEC | O_NONBLOCK);
    TRY("pipe-size", SYS_fcntl, pipe[1], F_SETPIPE_SZ, GATE_PIPE_SIZE);
    TRY("pipe-other-size", SYS_fcntl, pipe[1], F_SETPIPE_SZ, 2 * GATE_PIPE_SIZE);
    TRY("splice-from-inherited", SYS_splice, STDIN_FILENO, NULL, pipe[1], NULL, 1, flags);
    TRY("splice-to-inherited", SYS_splice, pipe[0], NULL, STDOUT_FILENO, NULL, 1, flags);
    TRY("splice-offset", SYS_splice, fd, &offset, pipe[1], NULL, 1, flags);
    TRY("splice-blocking", SYS_splice, fd, NULL, pipe[1], NULL, 1, SPLICE_F_MOVE);
    TRY("tee", SYS_tee, pipe[0], pipe[1], 1, flags);
    TRY("vmsplice", SYS_vmsplice, pipe[1], NULL, 0, 0);
    TRY("sendfile", SYS_sendfile, fd, fd, NULL, 1);
}

/* What kinds of sockets there are. */
static void try_sockets(void)
{
    report("socket-tcp", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    report("socket-udp6", socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    report("socket-unix", socket(AF_UNIX, SOCK_STREAM, 0));
    report("socket-netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    report("socket-packet", socket(AF_PACKET, SOCK_DGRAM, 0));
    report("socket-vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
    report("socket-alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
    report("socket-raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    report("socket-old-packet", socket(AF_INET, SOCK_PACKET, htons(ETH_P_ALL)));
    report("socket-icmp", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
    report("socket-sctp", socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP));
    report("socket-mptcp", socket(AF_INET, SOCK_STREAM, 262));
    report("socket-l2tp", socket(AF_INET, SOCK_DGRAM, 115));
    TRY("socket-high-bits", SYS_socket, AF_INET, SOCK_RAW | HIGH_BITS, 0);
    report("socketpair", syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, (int[2]){0}));
}

/* What may be done with a socket of its own. */
static void try_own_socket(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    int udp = socket(AF_INET, SOCK_DGRAM, 0);

    TRY("bind", SYS_bind, fd, &address, sizeof(address));
    TRY("listen", SYS_listen, fd, 1);
    TRY("accept", SYS_accept, STDIN_FILENO, NULL, NULL);
    TRY("accept-own", SYS_accept4, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    TRY("accept-blocking", SYS_accept4, STDIN_FILENO, NULL, NULL, 0);
    TRY("sendto-address", SYS_sendto, udp, "x", 1, 0, &address, sizeof(address));
    TRY("sendto-fast-open", SYS_sendto, fd, "x", 1, MSG_FASTOPEN, &address, sizeof(address));
    TRY("sendto-high-address", SYS_sendto, udp, "x", 1, 0, HIGH_BITS, sizeof(address));
    TRY("sendmsg", SYS_sendmsg, fd, NULL, 0);
    TRY("sendmmsg", SYS_sendmmsg, fd, NULL, 0, 0);
    TRY("recvmsg", SYS_recvmsg, fd, NULL, 0); /* with these, a descriptor could come in */
    TRY("recvmmsg", SYS_recvmmsg, fd, NULL, 0, 0, NULL);
    TRY("getsockname", SYS_getsockname, fd, &address, &(socklen_t){sizeof(address)});
    TRY("getpeername", SYS_getpeername, fd, &address, &(socklen_t){sizeof(address)});
    TRY("write", SYS_write, STDOUT_FILENO, "", 0);
    TRY("dup", SYS_dup, fd);
    TRY("ioctl", SYS_ioctl, fd, 0x8912, NULL); /* SIOCGIFCONF */
    TRY("fcntl-dup", SYS_fcntl, fd, F_DUPFD, 0);
    TRY("fcntl-owner", SYS_fcntl, fd, F_SETOWN, getppid());
    TRY("fcntl-signal", SYS_fcntl, fd, F_SETSIG, SIGKILL);
    TRY("fcntl-async", SYS_fcntl, fd, F_SETFL, O_ASYNC);
    TRY("set-device", SYS_setsockopt, fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
    TRY("set-mark", SYS_setsockopt, fd, SOL_SOCKET, SO_MARK, &one, sizeof(one));
    TRY("set-filter", SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, NULL, 0);
    TRY("set-reuse", SYS_setsockopt, fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    TRY("set-buffer", SYS_setsockopt, fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one));
    TRY("set-transparent", SYS_setsockopt, fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one));
    TRY("set-ulp", SYS_setsockopt, fd, IPPROTO_TCP, TCP_ULP, "tls", 3);
    TRY("set-repair", SYS_setsockopt, fd, IPPROTO_TCP, TCP_REPAIR, &one, sizeof(one));
    TRY("get-credentials", SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, NULL, NULL);
}

/* The listener is one with the parent's: whatever is done to it is done to every later gate. And
 * whatever stands in the upper half of an argument must not hide which descriptor is meant. */
static void try_listener(const char *kind, unsigned long fd)
{
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    const struct linger linger = {1, 0};
    char name[64];
    int one = 1;

#define TRY_LISTENER(what, ...)                                                                    \
    do {                                                                                           \
        (void)snprintf(name, sizeof(name), "%s-%s", kind, what);                                   \
        TRY(name, __VA_ARGS__);                                                                    \
    } while (0)
    TRY_LISTENER("shutdown", SYS_shutdown, fd, SHUT_RD);
    TRY_LISTENER("dissolve", SYS_connect, fd, &none, sizeof(none));
    TRY_LISTENER("listen", SYS_listen, fd, 0);
    TRY_LISTENER("bind", SYS_bind, fd, &none, sizeof(none));
    TRY_LISTENER("block", SYS_fcntl, fd, F_SETFL, 0);
    TRY_LISTENER("look", SYS_fcntl, fd, F_GETFL, 0);
    TRY_LISTENER("lease", SYS_fcntl, fd, F_SETLEASE, 0);
    TRY_LISTENER("ioctl", SYS_ioctl, fd, 0x5421, &(int){0}); /* FIONBIO */
    TRY_LISTENER("linger", SYS_setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    TRY_LISTENER("keepalive", SYS_setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    TRY_LISTENER("nodelay", SYS_setsockopt, fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    TRY_LISTENER("name", SYS_getsockname, fd, &none, &(socklen_t){sizeof(none)});
    TRY_LISTENER("error", SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, &one,
                 &(socklen_t){sizeof(one)});
    TRY_LISTENER("fast-open", SYS_sendto, fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL | MSG_DONTWAIT,
                 &none, sizeof(none));
    TRY_LISTENER("writev", SYS_writev, fd, NULL, 0);
#undef TRY_LISTENER
}

int main(int argc, char **argv)
{
    const char *step = "";

    if (argc != 2 ||
        confine_enter((uid_t)strtoul(argv[1], NULL, 10), STDERR_FILENO + 1, &step) < 0) {
        (void)fprintf(stderr, "gate-confined: could not be confined: %s\n", step);
        return EXIT_FAILURE;
    }
    try_all("all-calls", 0);
    try_all("all-calls-x32", OTHER_TABLE);
    try_old_way();
    try_files();
    try_processes();
    try_memory();
    try_splicing();
    try_sockets();
    try_own_socket();
    try_listener("listener", STDIN_FILENO);
    try_listener("high-listener", HIGH_BITS | STDIN_FILENO);
    report("accept4", accept4(STDIN_FILENO, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
    return EXIT_SUCCESS;
}

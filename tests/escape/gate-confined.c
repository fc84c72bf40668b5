/* What could caged-gate do if it were taken over? This links the gate's own confinement, enters it
 * with the uid that it is given, and tries. Each line of the output is a call and what came of it
 * ("open EPERM"); test_gate_process.py knows what it has to be. Standard input is a listening TCP
 * socket, on which accept must still work. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
#include <sys/wait.h>

#include "daemon/gate/confine.h"
#include "util.h"

static void report(const char *what, long result)
{
    char line[128];
    int n =
        snprintf(line, sizeof(line), "%s %s\n", what, result >= 0 ? "ok" : strerrorname_np(errno));
    struct iovec out = {.iov_base = line, .iov_len = (size_t)n};
    (void)!writev(STDOUT_FILENO, &out, 1); /* write(2) is refused, too */
}

#define TRY(name, ...) report(name, syscall(__VA_ARGS__))

static void try_files(void)
{
    TRY("open", SYS_open, "/", O_RDONLY);
    TRY("openat", SYS_openat, AT_FDCWD, ".", O_RDONLY);
    TRY("openat2", SYS_openat2, AT_FDCWD, ".", NULL, 0);
    TRY("creat", SYS_creat, "/x", 0600);
    TRY("mkdir", SYS_mkdir, "/x", 0700);
    TRY("stat", SYS_newfstatat, AT_FDCWD, "/", NULL, 0);
    TRY("chdir", SYS_chdir, "..");
    TRY("chroot", SYS_chroot, ".");
    TRY("mount", SYS_mount, "none", "/", "tmpfs", 0, NULL);
    TRY("memfd_create", SYS_memfd_create, "x", 0);
    TRY("read", SYS_read, STDIN_FILENO, NULL, 0);
    TRY("pread", SYS_pread64, STDIN_FILENO, NULL, 0, 0);
    TRY("io_uring_setup", SYS_io_uring_setup, 1, NULL);
}

static void try_processes(void)
{
    TRY("execve", SYS_execve, "/bin/sh", NULL, NULL);
    TRY("execveat", SYS_execveat, 0, "", NULL, NULL, 0);
    TRY("fork", SYS_fork);
    TRY("vfork", SYS_vfork);
    TRY("clone", SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    TRY("clone3", SYS_clone3, NULL, 0);
    TRY("unshare", SYS_unshare, 0);
    TRY("setns", SYS_setns, 0, 0);
    TRY("ptrace", SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL);
    TRY("process_vm_readv", SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
    TRY("kill", SYS_kill, getppid(), 0);
    TRY("tgkill", SYS_tgkill, getppid(), getppid(), 0);
    TRY("pidfd_open", SYS_pidfd_open, getppid(), 0);
    TRY("pidfd_send_signal", SYS_pidfd_send_signal, 0, 0, NULL, 0);
    TRY("setuid", SYS_setuid, 0);
    TRY("prctl", SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
    TRY("prlimit", SYS_prlimit64, 0, RLIMIT_CORE, NULL, NULL);
    TRY("seccomp", SYS_seccomp, 0, 0, NULL);
    TRY("bpf", SYS_bpf, 0, NULL, 0);
    TRY("keyctl", SYS_keyctl, 0, 0, 0, 0, 0);
    TRY("mprotect", SYS_mprotect, NULL, 0, PROT_READ | PROT_EXEC);
    TRY("mmap-exec", SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
        0);
    TRY("mmap-file", SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
}

static void try_sockets(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    report("socket-tcp", fd);
    TRY("bind", SYS_bind, fd, &address, sizeof(address));
    TRY("listen", SYS_listen, fd, 1);
    TRY("sendmsg", SYS_sendmsg, fd, NULL, 0);
    TRY("recvmsg", SYS_recvmsg, fd, NULL, 0); /* with these, a descriptor could come in */
    TRY("recvmmsg", SYS_recvmmsg, fd, NULL, 0, 0, NULL);
    TRY("pidfd_getfd", SYS_pidfd_getfd, fd, 0, 0);
    TRY("setsockopt", SYS_setsockopt, fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
    TRY("getsockopt", SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, NULL, NULL);
    TRY("write", SYS_write, STDOUT_FILENO, "", 0);
    TRY("dup", SYS_dup, fd);
    TRY("fcntl-dup", SYS_fcntl, fd, F_DUPFD, 0);
    TRY("getsockname", SYS_getsockname, fd, &address, &(socklen_t){sizeof(address)});
    TRY("getpeername", SYS_getpeername, fd, &address, &(socklen_t){sizeof(address)});
    report("socket-udp6", socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    report("socket-unix", socket(AF_UNIX, SOCK_STREAM, 0));
    report("socket-netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    report("socket-packet", socket(AF_PACKET, SOCK_DGRAM, 0));
    report("socket-raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    report("socket-icmp", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
    report("socket-sctp", socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP));
    report("socketpair", syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, (int[2]){0}));
    TRY("shutdown-listener", SYS_shutdown, STDIN_FILENO, SHUT_RD);
    address.sin_family = AF_UNSPEC;
    TRY("dissolve-listener", SYS_connect, STDIN_FILENO, &address, sizeof(address));
    TRY("getsockname-listener", SYS_getsockname, STDIN_FILENO, &address, &(socklen_t){0});
    report("accept", accept4(STDIN_FILENO, NULL, NULL, 0));
}

int main(int argc, char **argv)
{
    const char *step = "";

    if (argc != 2 ||
        confine_enter((uid_t)strtoul(argv[1], NULL, 10), STDERR_FILENO + 1, &step) < 0) {
        (void)fprintf(stderr, "gate-confined: could not be confined: %s\n", step);
        return EXIT_FAILURE;
    }
    try_files();
    try_processes();
    try_sockets();
    return EXIT_SUCCESS;
}

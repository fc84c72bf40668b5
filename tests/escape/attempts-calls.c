/* Attempts that are one system call. Arguments are what the call would take if it were allowed;
 * most are refused by seccomp before the kernel looks at them. */
#include "attempts.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "util.h"

#define P(pointer) (long)(pointer)

/* Newer than the headers of the oldest distribution that is built on. */
#define FCHMODAT2 452
#define QUOTACTL_FD 443

#define CLONE_NEWTIME_FLAG 0x80

static const struct clone_args plain_clone = {.exit_signal = SIGCHLD};
static const struct clone_args user_clone = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
static const struct {
    uint64_t flags, mode, resolve;
} how;
static char buffer[4096];

/* clang-format off */
const struct call_attempt call_attempts[] = {
    /* mounts and roots */
    {"mount-tmpfs",      {EPERM}, SYS_mount, {P("tmpfs"), P("/tmp"), P("tmpfs")}},
    {"mount-proc",       {EPERM}, SYS_mount, {P("proc"), P("/tmp"), P("proc")}},
    {"mount-cgroup",     {EPERM}, SYS_mount, {P("cgroup2"), P("/tmp"), P("cgroup2")}},
    {"mount-bind",       {EPERM}, SYS_mount, {P("/"), P("/tmp"), 0, MS_BIND | MS_REC}},
    {"remount-root",     {EPERM}, SYS_mount, {0, P("/"), 0, MS_REMOUNT | MS_BIND}},
    {"remount-usr",      {EPERM}, SYS_mount, {0, P("/usr"), 0, MS_REMOUNT | MS_BIND}},
    {"remount-sysctl",   {EPERM}, SYS_mount, {0, P("/proc/sys"), 0, MS_REMOUNT | MS_BIND}},
    {"umount-mask",      {EPERM}, SYS_umount2, {P("/proc/keys"), MNT_DETACH}},
    {"umount-workspace", {EPERM}, SYS_umount2, {P("/workspace"), MNT_DETACH}},
    {"pivot-root",       {EPERM}, SYS_pivot_root, {P("/tmp"), P("/tmp")}},
    {"chroot",           {EPERM}, SYS_chroot, {P("/tmp")}},
    {"fsopen",           {EPERM}, SYS_fsopen, {P("tmpfs"), 0}},
    {"fspick",           {EPERM}, SYS_fspick, {AT_FDCWD, P("/"), 0}},
    {"open-tree",        {EPERM}, SYS_open_tree, {AT_FDCWD, P("/"), OPEN_TREE_CLONE}},
    {"move-mount",       {EPERM}, SYS_move_mount, {AT_FDCWD, P("/usr"), AT_FDCWD, P("/tmp"), 0}},
    {"mount-setattr",    {EPERM}, SYS_mount_setattr, {AT_FDCWD, P("/usr"), 0, P(buffer), 32}},

    /* namespaces */
    {"unshare-mount",    {EPERM}, SYS_unshare, {CLONE_NEWNS}},
    {"unshare-user",     {EPERM}, SYS_unshare, {CLONE_NEWUSER}},
    {"unshare-pid",      {EPERM}, SYS_unshare, {CLONE_NEWPID}},
    {"unshare-network",  {EPERM}, SYS_unshare, {CLONE_NEWNET}},
    {"unshare-ipc",      {EPERM}, SYS_unshare, {CLONE_NEWIPC}},
    {"unshare-uts",      {EPERM}, SYS_unshare, {CLONE_NEWUTS}},
    {"unshare-cgroup",   {EPERM}, SYS_unshare, {CLONE_NEWCGROUP}},
    {"unshare-time",     {EPERM}, SYS_unshare, {CLONE_NEWTIME_FLAG}},
    {"setns",            {EPERM}, SYS_setns, {0, 0}},
    {"clone-mount",      {EPERM}, SYS_clone, {CLONE_NEWNS | SIGCHLD}},
    {"clone-user",       {EPERM}, SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
    {"clone-user-mount", {EPERM}, SYS_clone, {CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD}},
    {"clone-pid",        {EPERM}, SYS_clone, {CLONE_NEWPID | SIGCHLD}},
    {"clone-network",    {EPERM}, SYS_clone, {CLONE_NEWNET | SIGCHLD}},
    {"clone-ipc",        {EPERM}, SYS_clone, {CLONE_NEWIPC | SIGCHLD}},
    {"clone-uts",        {EPERM}, SYS_clone, {CLONE_NEWUTS | SIGCHLD}},
    {"clone-cgroup",     {EPERM}, SYS_clone, {CLONE_NEWCGROUP | SIGCHLD}},
    /* not there at all, so that C libraries fall back to clone */
    {"clone3",           {ENOSYS}, SYS_clone3, {P(&plain_clone), sizeof(plain_clone)}},
    {"clone3-user",      {ENOSYS}, SYS_clone3, {P(&user_clone), sizeof(user_clone)}},

    /* other processes: PID 1 above all */
    {"ptrace-init",      {EPERM}, SYS_ptrace, {PTRACE_ATTACH, 1}},
    {"ptrace-seize",     {EPERM}, SYS_ptrace, {PTRACE_SEIZE, 1}},
    {"read-init-memory", {EPERM}, SYS_process_vm_readv, {1, P(buffer), 0, P(buffer), 0}},
    {"write-init-memory", {EPERM}, SYS_process_vm_writev, {1, P(buffer), 0, P(buffer), 0}},
    {"kill-init",        {EPERM}, SYS_kill, {1, SIGKILL}},
    {"terminate-init",   {EPERM}, SYS_kill, {1, SIGTERM}},
    {"stop-init",        {EPERM}, SYS_kill, {1, SIGSTOP}},
    {"wake-init",        {EPERM}, SYS_kill, {1, SIGCHLD}},
    {"renice-init",      {EPERM}, SYS_setpriority, {PRIO_PROCESS, 1, 19}},
    {"limit-init",       {EPERM}, SYS_prlimit64, {1, RLIMIT_NOFILE, 0, P(buffer)}},
    {"kcmp",             {EPERM}, SYS_kcmp, {1, 1, 0, 0, 0}},
    {"pidfd-getfd",      {EPERM}, SYS_pidfd_getfd, {0, 0, 0}},
    {"move-pages",       {EPERM}, SYS_move_pages, {1, 0, 0, 0, 0, 0}},

    /* identity and capabilities */
    {"setuid-root",      {EPERM}, SYS_setuid, {0}},
    {"setuid-init",      {EPERM}, SYS_setresuid, {999, 999, 999}},
    {"setgid-root",      {EPERM}, SYS_setgid, {0}},
    {"setgid-tty",       {EPERM}, SYS_setresgid, {5, 5, 5}},
    {"setgroups",        {EPERM}, SYS_setgroups, {0, 0}},
    {"securebits",       {EPERM}, SYS_prctl, {PR_SET_SECUREBITS, 0}},
    {"bounding-set",     {EPERM}, SYS_prctl, {PR_CAPBSET_DROP, 0}},
    {"ambient",          {EPERM}, SYS_prctl, {PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21}},
    {"new-privileges",   {EINVAL}, SYS_prctl, {PR_SET_NO_NEW_PRIVS, 0}},
    {"seccomp-off",      {EINVAL}, SYS_prctl, {PR_SET_SECCOMP, 0}},

    /* the kernel */
    {"add-key",          {EPERM}, SYS_add_key, {P("user"), P("a"), P("b"), 1, -3}},
    {"request-key",      {EPERM}, SYS_request_key, {P("user"), P("a"), 0, -3}},
    {"keyctl",           {EPERM}, SYS_keyctl, {KEYCTL_GET_KEYRING_ID, -3, 0}},
    {"bpf",              {EPERM}, SYS_bpf, {5, P(buffer), 48}},
    {"perf-event",       {EPERM}, SYS_perf_event_open, {P(buffer), 0, -1, -1, 0}},
    {"userfaultfd",      {EPERM}, SYS_userfaultfd, {1}},
    {"io-uring",         {EPERM}, SYS_io_uring_setup, {4, P(buffer)}},
    {"io-uring-register", {EPERM}, SYS_io_uring_register, {0, 0, 0, 0}},
    {"name-to-handle",   {EPERM}, SYS_name_to_handle_at, {AT_FDCWD, P("/"), P(buffer), P(buffer)}},
    {"open-by-handle",   {EPERM}, SYS_open_by_handle_at, {AT_FDCWD, P(buffer), O_RDONLY}},
    {"fanotify",         {EPERM}, SYS_fanotify_init, {0, 0}},
    /* its number of requests is one for the whole host */
    {"io-setup",         {ENOSYS}, SYS_io_setup, {1, P(buffer)}},
    {"openat2",          {ENOSYS}, SYS_openat2, {AT_FDCWD, P("/"), P(&how), sizeof(how)}},
    {"kexec",            {EPERM}, SYS_kexec_load, {0, 0, 0, 0}},
    {"kexec-file",       {EPERM}, SYS_kexec_file_load, {0, 0, 0, 0, 0}},
    {"init-module",      {EPERM}, SYS_init_module, {P(buffer), 4096, P("")}},
    {"finit-module",     {EPERM}, SYS_finit_module, {0, P(""), 0}},
    {"delete-module",    {EPERM}, SYS_delete_module, {P("x"), 0}},
    {"swapon",           {EPERM}, SYS_swapon, {P("/tmp/x"), 0}},
    {"swapoff",          {EPERM}, SYS_swapoff, {P("/tmp/x")}},
    {"reboot",           {EPERM}, SYS_reboot, {0xfee1dead, 672274793, 0, 0}},
    {"quotactl",         {EPERM}, SYS_quotactl, {0, P("/"), 0, 0}},
    {"quotactl-fd",      {EPERM}, QUOTACTL_FD, {0, 0, 0, 0}},
    {"acct",             {EPERM}, SYS_acct, {P("/tmp/x")}},
    {"syslog",           {EPERM}, SYS_syslog, {3, P(buffer), 4096}},
    {"clock-settime",    {EPERM}, SYS_clock_settime, {0, P(buffer)}},
    {"settimeofday",     {EPERM}, SYS_settimeofday, {P(buffer), 0}},
    {"adjtimex",         {EPERM}, SYS_adjtimex, {P(buffer)}},
    {"sethostname",      {EPERM}, SYS_sethostname, {P("x"), 1}},
    {"setdomainname",    {EPERM}, SYS_setdomainname, {P("x"), 1}},
    {"vhangup",          {EPERM}, SYS_vhangup, {0}},
    {"lookup-dcookie",   {EPERM}, SYS_lookup_dcookie, {0, P(buffer), 4096}},
    {"executable-stack", {EPERM}, SYS_personality, {READ_IMPLIES_EXEC}},
    {"fixed-addresses",  {EPERM}, SYS_personality, {ADDR_NO_RANDOMIZE}},
#ifdef __x86_64__
    {"iopl",             {EPERM}, SYS_iopl, {3}},
    {"ioperm",           {EPERM}, SYS_ioperm, {0x70, 2, 1}},
    {"modify-ldt",       {EPERM}, SYS_modify_ldt, {0, P(buffer), 16}},
    {"x32-abi",          {ENOSYS}, 0x40000000 + SYS_getpid, {0}},
#endif

    /* terminals; the second with bits that the kernel does not look at */
    {"type-into-terminal", {EPERM}, SYS_ioctl, {0, TIOCSTI, P("x")}},
    {"type-high-bits",   {EPERM}, SYS_ioctl, {0, 0x100000000 | TIOCSTI, P("x")}},
    {"console-paste",    {EPERM}, SYS_ioctl, {0, TIOCLINUX, P(buffer)}},
    {"line-discipline",  {EPERM}, SYS_ioctl, {0, TIOCSETD, P(buffer)}},
    {"console-output",   {EPERM}, SYS_ioctl, {0, TIOCCONS}},

    /* privileged files and devices, in the only place that outlives the cage */
    {"creat-setuid",     {EPERM}, SYS_openat,
     {AT_FDCWD, P("/workspace/escape-x"), O_CREAT | O_WRONLY, 04755}},
    {"creat-setgid",     {EPERM}, SYS_openat,
     {AT_FDCWD, P("/workspace/escape-x"), O_CREAT | O_WRONLY, 02755}},
    {"tmpfile-setuid",   {EPERM}, SYS_openat,
     {AT_FDCWD, P("/workspace"), O_TMPFILE | O_RDWR, 04755}},
    {"creat-high-bits",  {EPERM}, SYS_openat,
     {AT_FDCWD, P("/workspace/escape-x"), O_CREAT | O_WRONLY, 0x700000000 | 04755}},
    {"mkdir-setgid",     {EPERM}, SYS_mkdirat, {AT_FDCWD, P("/workspace/escape-x"), 02755}},
    {"mknod-setuid",     {EPERM}, SYS_mknodat,
     {AT_FDCWD, P("/workspace/escape-x"), S_IFREG | 04755, 0}},
    {"mknod-character",  {EPERM}, SYS_mknodat,
     {AT_FDCWD, P("/workspace/escape-x"), S_IFCHR | 0666, 0x103}},
    {"mknod-block",      {EPERM}, SYS_mknodat,
     {AT_FDCWD, P("/workspace/escape-x"), S_IFBLK | 0666, 0x800}},
    {"mknod-tmp",        {EPERM}, SYS_mknodat, {AT_FDCWD, P("/tmp/x"), S_IFCHR | 0666, 0x101}},
    {"whiteout",         {EPERM}, SYS_renameat2,
     {AT_FDCWD, P("/workspace/escape-x"), AT_FDCWD, P("/workspace/escape-y"), RENAME_WHITEOUT}},
    {"chmod-setuid",     {EPERM}, SYS_fchmodat, {AT_FDCWD, P("/workspace"), 04755}},
    {"chmod-setgid",     {EPERM}, SYS_fchmodat, {AT_FDCWD, P("/workspace"), 02755}},
    {"fchmod-setuid",    {EPERM}, SYS_fchmod, {0, 04755}},
    {"fchmodat2-setuid", {ENOSYS, EPERM}, FCHMODAT2, {AT_FDCWD, P("/workspace"), 04755, 0}},
#ifdef __x86_64__
    {"old-chmod-setuid", {EPERM}, SYS_chmod, {P("/workspace"), 04755}},
    {"old-creat-setuid", {EPERM}, SYS_creat, {P("/workspace/escape-x"), 04755}},
    {"old-open-setuid",  {EPERM}, SYS_open, {P("/workspace/escape-x"), O_CREAT, 04755}},
    {"old-mkdir-setgid", {EPERM}, SYS_mkdir, {P("/workspace/escape-x"), 02755}},
    {"old-mknod",        {EPERM}, SYS_mknod, {P("/workspace/escape-x"), S_IFCHR | 0666, 0x103}},
#endif

    /* sockets that are no business of an agent */
    {"packet-socket",    {EAFNOSUPPORT}, SYS_socket, {AF_PACKET, SOCK_RAW, 0x300}},
    {"packet-datagram",  {EAFNOSUPPORT}, SYS_socket, {AF_PACKET, SOCK_DGRAM, 0x300}},
    {"raw-socket",       {EAFNOSUPPORT}, SYS_socket, {AF_INET, SOCK_RAW, 255}},
    {"raw-socket-6",     {EAFNOSUPPORT}, SYS_socket, {AF_INET6, SOCK_RAW, 58}},
    {"ping-socket",      {EAFNOSUPPORT}, SYS_socket, {AF_INET, SOCK_DGRAM, 1}},
    {"sctp-socket",      {EAFNOSUPPORT}, SYS_socket, {AF_INET, SOCK_STREAM, 132}},
    {"vsock",            {EAFNOSUPPORT}, SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}},
    {"crypto-socket",    {EAFNOSUPPORT}, SYS_socket, {AF_ALG, SOCK_SEQPACKET, 0}},
    {"bluetooth-socket", {EAFNOSUPPORT}, SYS_socket, {AF_BLUETOOTH, SOCK_RAW, 1}},
    {"netlink-netfilter", {EAFNOSUPPORT}, SYS_socket, {AF_NETLINK, SOCK_RAW, 12}},
    {"netlink-audit",    {EAFNOSUPPORT}, SYS_socket, {AF_NETLINK, SOCK_RAW, 9}},
    {"netlink-uevent",   {EAFNOSUPPORT}, SYS_socket, {AF_NETLINK, SOCK_RAW, 15}},
    /* made, or their module loaded, before the kernel says that they come in no pairs */
    {"vsock-pair",       {EAFNOSUPPORT}, SYS_socketpair, {AF_VSOCK, SOCK_STREAM, 0, P(buffer)}},
    {"uevent-pair",      {EAFNOSUPPORT}, SYS_socketpair, {AF_NETLINK, SOCK_RAW, 15, P(buffer)}},
    {"raw-pair",         {EAFNOSUPPORT}, SYS_socketpair, {AF_INET, SOCK_RAW, 255, P(buffer)}},

    /* limits; compiled filters and huge pages come from stores of the host that memory_mb does not
     * count */
    {"nice",             {EACCES}, SYS_setpriority, {PRIO_PROCESS, 0, -20}},
    {"socket-filter",    {EPERM}, SYS_setsockopt,
     {0, SOL_SOCKET, SO_ATTACH_FILTER, P(buffer), 16}},
    {"filter-high-bits", {EPERM}, SYS_setsockopt,
     {0, 0x100000000 | SOL_SOCKET, 0x100000000 | SO_ATTACH_FILTER, P(buffer), 16}},
    {"reuseport-filter", {EPERM}, SYS_setsockopt,
     {0, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, P(buffer), 16}},
    {"huge-pages",       {EPERM}, SYS_mmap,
     {0, 2 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0}},
    {"huge-memory-file", {EPERM}, SYS_memfd_create, {P("x"), MFD_HUGETLB}},
};
/* clang-format on */

const size_t n_call_attempts = ARRAY_SIZE(call_attempts);

/* The calls of a gate as a table, and the table as a program of the kernel's (seccomp(2), bpf(4)).
 *
 * A row allows a call if all of its conditions hold; several rows of one call stand together, and
 * one of them has to hold. Whatever has no row is refused with EPERM rather than death: a refused
 * call has not happened, which is all that safety asks, while a new libc or c-ares that probes for
 * a call should cost the agent nothing.
 *
 * The program is made here and not by libseccomp, because that compares all 64 bits of an argument
 * while the kernel takes an int for a descriptor: to it, 0x100000005 is at least as much as 8, and
 * to shutdown(2) it is 5. Each comparison here is of the lower 32 bits, as the calls take them, but
 * for pointers. */
#include "call-filter.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "caged-limits.h"
#include "native.h"
#include "util.h"

/* -- conditions -- */

struct condition {
    enum { NO_CONDITION, EQUAL, OWN_FD, INHERITED_FD, NOT_THERE } test;
    unsigned argument;
    uint32_t value, mask;
};

#define IS(n, number)                                                                              \
    {                                                                                              \
        EQUAL, n, (uint32_t)(number), UINT32_MAX                                                   \
    }
#define IS_BUT_FOR(n, number, flags)                                                               \
    {                                                                                              \
        EQUAL, n, (uint32_t)(number), ~(uint32_t)(flags)                                           \
    }
#define HAS_NO_BIT_BUT(n, flags)                                                                   \
    {                                                                                              \
        EQUAL, n, 0, ~(uint32_t)(flags)                                                            \
    }
#define IS_NULL(n)                                                                                 \
    {                                                                                              \
        NOT_THERE, n, 0, UINT32_MAX                                                                \
    }
#define IS_OWN(n)                                                                                  \
    {                                                                                              \
        OWN_FD, n, 0, UINT32_MAX                                                                   \
    }
#define IS_INHERITED(n)                                                                            \
    {                                                                                              \
        INHERITED_FD, n, 0, UINT32_MAX                                                             \
    }

/* -- the table -- */

#ifdef SYS_epoll_wait
#define CALL_EPOLL_WAIT SYS_epoll_wait
#else
#define CALL_EPOLL_WAIT SYS_epoll_pwait
#endif

#define SOCKET_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

struct row {
    int call;
    struct condition conditions[5];
};

/* What is called most comes first: it is found soonest. */
static const struct row rows[] = {
    /* The loop. */
    {CALL_EPOLL_WAIT},
    {SYS_epoll_ctl},
    {SYS_clock_gettime}, /* these two only where the vDSO cannot tell the time */
    {SYS_gettimeofday},

    /* Sockets: the gate's own (net.c), the control socket's, and c-ares's. No recvmsg(2) and
     * sendmsg(2), so no descriptor comes in or goes out; no address to send to, so that all that
     * goes out goes where connect(2) led. */
    {SYS_recvfrom},
    {SYS_sendto, {IS_NULL(4)}},
    /* The name server's answers: its socket reaches one link. */
    {SYS_sendto, {IS_INHERITED(0), IS(3, MSG_DONTWAIT | MSG_NOSIGNAL)}},
    {SYS_writev, {IS_OWN(0)}}, /* c-ares, by TCP */
    {SYS_close},
    {SYS_accept4, {IS_INHERITED(0), IS_NULL(1), IS(3, SOCKET_FLAGS)}},
    /* TCP and UDP over IP: no AF_UNIX (other daemons), AF_NETLINK, AF_PACKET or raw sockets. */
    {SYS_socket, {IS(0, AF_INET), IS_BUT_FOR(1, SOCK_STREAM, SOCKET_FLAGS), IS(2, 0)}},
    {SYS_socket, {IS(0, AF_INET6), IS_BUT_FOR(1, SOCK_STREAM, SOCKET_FLAGS), IS(2, 0)}},
    {SYS_socket, {IS(0, AF_INET), IS_BUT_FOR(1, SOCK_DGRAM, SOCKET_FLAGS), IS(2, 0)}},
    {SYS_socket, {IS(0, AF_INET6), IS_BUT_FOR(1, SOCK_DGRAM, SOCKET_FLAGS), IS(2, 0)}},

    /* What these change in a socket, they change for all who have it: of a listener that would be
     * for cagedd and every later gate. shutdown(2), or connect(2) to AF_UNSPEC, would end it, a
     * blocking one would hold up cagedd itself, and accepted sockets inherit its options. */
    {SYS_connect, {IS_OWN(0)}},
    {SYS_shutdown, {IS_OWN(0)}},
    {SYS_getsockname, {IS_OWN(0)}}, /* the synthetic address that a connection came to */
    {SYS_getsockopt, {IS_OWN(0), IS(1, SOL_SOCKET), IS(2, SO_ERROR)}},
    {SYS_setsockopt, {IS_OWN(0), IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)}},
    {SYS_setsockopt, {IS_OWN(0), IS(1, IPPROTO_TCP), IS(2, TCP_KEEPIDLE)}},
    {SYS_setsockopt, {IS_OWN(0), IS(1, IPPROTO_TCP), IS(2, TCP_KEEPINTVL)}},
    {SYS_setsockopt, {IS_OWN(0), IS(1, IPPROTO_TCP), IS(2, TCP_KEEPCNT)}},
    {SYS_setsockopt, {IS_OWN(0), IS(1, SOL_SOCKET), IS(2, SO_KEEPALIVE)}},
    {SYS_setsockopt, {IS_OWN(0), IS(1, SOL_SOCKET), IS(2, SO_LINGER)}},
    {SYS_fcntl, {IS_OWN(0), IS(1, F_GETFL)}}, /* c-ares, three of them */
    {SYS_fcntl, {IS_OWN(0), IS(1, F_SETFL), HAS_NO_BIT_BUT(2, O_RDWR | O_NONBLOCK)}},
    {SYS_fcntl, {IS_OWN(0), IS(1, F_SETFD), IS(2, FD_CLOEXEC)}},
    {SYS_fcntl, {IS_OWN(0), IS(1, F_SETPIPE_SZ), IS(2, GATE_PIPE_SIZE)}}, /* pipe-pool.c */

    /* Bulk goes from socket to socket through a pipe of a set size (pipe-pool.c, relay-bulk.c):
     * never from or to what was inherited, and with no offset, which only files have. */
    {SYS_splice,
     {IS_OWN(0), IS_NULL(1), IS_OWN(2), IS_NULL(3), IS(5, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)}},
    {SYS_pipe2, {IS(1, O_NONBLOCK | O_CLOEXEC)}},

    /* malloc(3): memory that is never executable and never a file. */
    {SYS_brk},
    {SYS_mmap, {HAS_NO_BIT_BUT(2, PROT_READ | PROT_WRITE), IS(3, MAP_PRIVATE | MAP_ANONYMOUS)}},
    {SYS_munmap},
    /* c-ares from 1.19 on, for the numbers of its questions: refused, it would take worse ones. */
    {SYS_getrandom},

    {SYS_exit_group},
};

/* -- the program -- */

#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset))
#define CALL_MAX 200 /* instructions for one call; a jump goes over 255 at most */

struct program {
    struct sock_filter code[BPF_MAXINSNS / 4];
    size_t size;
};
_Static_assert(ARRAY_SIZE(rows) * 16 < BPF_MAXINSNS / 4, "there is room for all rows");

static void put(struct program *p, struct sock_filter instruction)
{
    p->code[p->size++] = instruction;
}

/* A jump over what follows unless the condition holds; how far is not known yet. */
static void put_unless(struct program *p, uint16_t jump, uint32_t value)
{
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | jump | BPF_K, value, 0, 0));
}

static void put_condition(struct program *p, const struct condition *c, uint32_t first_own_fd)
{
    size_t offset = offsetof(struct seccomp_data, args) + c->argument * sizeof(uint64_t);
    bool is_about_fd = c->test == OWN_FD || c->test == INHERITED_FD;
    uint32_t value = is_about_fd ? first_own_fd : c->value;

    put(p, (struct sock_filter)LOAD(offset));
    if (c->mask != UINT32_MAX)
        put(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, c->mask));
    if (is_about_fd)
        put_unless(p, BPF_JGE, value);
    else
        put_unless(p, BPF_JEQ, value);
    if (c->test == NOT_THERE) { /* a pointer: the upper half as well */
        put(p, (struct sock_filter)LOAD(offset + sizeof(uint32_t)));
        put_unless(p, BPF_JEQ, 0);
    }
}

/* Has the jumps of a row that begins at `start` end behind it, where its condition does not hold.
 */
static void finish_jumps(struct program *p, size_t start, const struct row *row)
{
    size_t at = start;

    for (size_t i = 0; i < ARRAY_SIZE(row->conditions) && row->conditions[i].test; i++) {
        unsigned jumps = row->conditions[i].test == NOT_THERE ? 2 : 1;
        while (jumps > 0) {
            struct sock_filter *instruction = &p->code[at];
            uint8_t over = (uint8_t)(p->size - at - 1);
            at++;
            if (BPF_CLASS(instruction->code) != BPF_JMP)
                continue;
            *(row->conditions[i].test == INHERITED_FD ? &instruction->jt : &instruction->jf) = over;
            jumps--;
        }
    }
}

static void put_row(struct program *p, const struct row *row, uint32_t first_own_fd)
{
    size_t start = p->size;

    for (size_t i = 0; i < ARRAY_SIZE(row->conditions) && row->conditions[i].test; i++)
        put_condition(p, &row->conditions[i], first_own_fd);
    put(p, (struct sock_filter)ALLOW);
    finish_jumps(p, start, row);
}

/* All rows of the call of `row`. Returns the first row behind them. */
static const struct row *put_call(struct program *p, const struct row *row, uint32_t first_own_fd)
{
    const struct row *end = rows + ARRAY_SIZE(rows);
    size_t start = p->size;
    int call = row->call;

    put_unless(p, BPF_JEQ, (uint32_t)call);
    for (; row < end && row->call == call; row++)
        put_row(p, row, first_own_fd);
    put(p, (struct sock_filter)REFUSE);
    if (p->size - start > CALL_MAX)
        abort(); /* a jump could be cut short, and lead anywhere */
    p->code[start].jf = (uint8_t)(p->size - start - 1);
    return row;
}

int call_filter_load(unsigned first_own_fd)
{
    struct program p = {.size = 0};

    put(&p, (struct sock_filter)LOAD(offsetof(struct seccomp_data, arch)));
    put(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCHITECTURE, 1, 0));
    put(&p, (struct sock_filter)REFUSE);
    put(&p, (struct sock_filter)LOAD(offsetof(struct seccomp_data, nr)));
    for (const struct row *row = rows; row < rows + ARRAY_SIZE(rows);)
        row = put_call(&p, row, first_own_fd);
    put(&p, (struct sock_filter)REFUSE);

    const struct sock_fprog program = {.len = (unsigned short)p.size, .filter = p.code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? negative_errno() : 0;
}

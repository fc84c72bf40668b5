/* Descriptors for processes that are being started. */
#include "process/start-channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "util.h"

/* Numbers below are the daemon's first ones (the three of stdio, the socket that systemd passes,
 * see sd_listen_fds(3)); what it does not have of them is filled up as well. */
#define FIRST 8
#define END (FIRST + START_CHANNELS)

/* The kernel copies a table in such pieces (sane_fdtable_size() in fs/file.c): the numbers in the
 * piece that END is in would be copied, and closed then. */
#define TABLE_PIECE 64
_Static_assert(END % TABLE_PIECE == 0, "the first number that is not copied begins a piece");

static struct {
    bool reserved;
    int null; /* stands at a number that is not in use */
    struct {
        bool ours;   /* not if something was there before */
        pid_t owner; /* 0: none */
        uid_t user;  /* whose the owner is */
    } at[START_CHANNELS];
} channels;

int start_channels_reserve(void)
{
    int fd;

    channels.null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (channels.null < 0)
        return negative_errno();
    for (fd = channels.null; fd < END;) {
        fd = fcntl(channels.null, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return negative_errno();
        if (fd >= FIRST && fd < END)
            channels.at[fd - FIRST].ours = true;
    }
    if (fd != channels.null)
        (void)close(fd);
    channels.reserved = true;
    return 0;
}

static void close_channel(int channel)
{
    (void)dup3(channels.null, FIRST + channel, O_CLOEXEC);
    channels.at[channel].owner = 0;
}

/* The other end is closed, so an empty queue is an end of file. */
static bool is_taken(int channel)
{
    char byte;

    return recv(FIRST + channel, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static int find_free(void)
{
    for (int i = 0; i < START_CHANNELS; i++)
        if (channels.at[i].ours && (channels.at[i].owner == 0 || is_taken(i)))
            return i;
    return -EXFULL;
}

/* Whether as many of the user's as may be have not taken theirs. Root is not turned away. */
static bool has_its_share(uid_t user)
{
    size_t n = 0;

    for (int i = 0; user != 0 && i < START_CHANNELS; i++)
        n += channels.at[i].owner != 0 && channels.at[i].user == user && !is_taken(i);
    return n >= START_CHANNELS_PER_UID_MAX;
}

int start_channel_put(uid_t user, const int *fds, size_t n)
{
    int ends[2], channel;
    int r = channels.reserved ? 0 : start_channels_reserve();

    if (r < 0)
        return r;
    if (has_its_share(user))
        return -EBUSY;
    channel = find_free();
    if (channel < 0)
        return channel;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return negative_errno();
    ssize_t sent = socket_send(ends[0], "", 1, fds, n); /* one message has all of them */
    r = sent < 0 ? (int)sent : 0;
    if (r >= 0 && dup3(ends[1], FIRST + channel, O_CLOEXEC) < 0)
        r = negative_errno();
    (void)close(ends[0]);
    (void)close(ends[1]);
    channels.at[channel].user = user;
    return r < 0 ? r : channel;
}

int start_channel_take(int channel, int *fds, size_t n)
{
    char byte;
    size_t got = 0;

    if (close_range(END, ~0u, CLOSE_RANGE_UNSHARE) < 0)
        return negative_errno();
    ssize_t size = socket_receive(FIRST + channel, &byte, 1, fds, n, &got);
    if (size < 0)
        return (int)size;
    return size == 1 && got == n ? 0 : -EBADMSG;
}

void start_channel_assign(int channel, pid_t pid)
{
    if (pid > 0)
        channels.at[channel].owner = pid;
    else
        close_channel(channel);
}

void start_channel_forget(pid_t pid)
{
    for (int i = 0; i < START_CHANNELS; i++)
        if (channels.at[i].owner == pid)
            close_channel(i);
}

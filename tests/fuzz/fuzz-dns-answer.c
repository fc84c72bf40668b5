/* What a hostile name server says: through c-ares as the gate's resolver (daemon/gate/resolver.c)
 * uses it, over UDP and TCP, and through what the resolver makes of it. No crash; each lookup is
 * answered exactly once, with addresses of both families within their bounds or with none; nothing
 * stays open.
 *
 * No socket is a real one: c-ares is given functions in their place. The resolver cannot watch such
 * a socket (epoll_ctl(2) refuses it), so they are turned by hand here.
 *
 * The input is a row of messages, each with two bytes of length and one of MESSAGE_ flags before
 * it. Each question is answered by the next of them. */
#include "daemon/gate/resolver.c"

#include "fuzz.h"

#define MESSAGE_RIGHT_ID 1 /* the id of the question is written over the message's own */
#define MESSAGE_QUESTION                                                                           \
    2                       /* head and question are the question's, turned into an answer; of the \
                               message come the counts and what follows */
#define MESSAGE_TRUNCATED 4 /* with MESSAGE_QUESTION: c-ares asks again by TCP */
#define MESSAGE_TWICE 8
#define MESSAGE_STRANGER 16 /* it comes from another address */
#define MESSAGE_SILENT 32   /* it does not come at all */

#define SOCKETS_MAX 64
#define FIRST_FD 100000 /* no real descriptor */
#define HEAD_SIZE 12
#define TURNS_MAX 64

struct fake_socket {
    bool open, tcp;
    uint8_t in[4096]; /* messages for UDP, each with its length and its flags; bytes for TCP */
    size_t size, read;
};

static struct fake_socket sockets[SOCKETS_MAX];
static const uint8_t *input;
static size_t input_left;
static unsigned answers;

static struct fake_socket *socket_of(ares_socket_t fd)
{
    require(fd >= FIRST_FD && fd < FIRST_FD + SOCKETS_MAX);
    return &sockets[fd - FIRST_FD];
}

/* -- messages -- */

static const uint8_t *take_message(size_t *ret_size, uint8_t *ret_flags)
{
    if (input_left < 3)
        return NULL;
    *ret_flags = input[0];
    *ret_size = MIN_OF((size_t)(input[1] << 8 | input[2]), input_left - 3);
    const uint8_t *message = input + 3;
    input += 3 + *ret_size;
    input_left -= 3 + *ret_size;
    return message;
}

/* The message as it goes out. Returns its size. */
static size_t compose(const uint8_t *question, size_t question_size, const uint8_t *message,
                      size_t size, uint8_t flags, uint8_t *out, size_t max)
{
    size_t used = 0;

    if ((flags & MESSAGE_QUESTION) && question_size >= HEAD_SIZE && size >= 6) {
        used = MIN_OF(question_size, max);
        memcpy(out, question, used);
        out[2] = 0x81 | (flags & MESSAGE_TRUNCATED ? 2 : 0);
        out[3] = 0x80 | (message[5] & 15);
        memcpy(out + 6, message, 5); /* counts; the lower byte of the last stays */
        out[4] = 0;
        out[5] = 1;
        message += 6;
        size -= 6;
    }
    size = MIN_OF(size, max - used);
    memcpy(out + used, message, size);
    used += size;
    if ((flags & MESSAGE_RIGHT_ID) && used >= 2 && question_size >= 2)
        memcpy(out, question, 2);
    return used;
}

static void put(struct fake_socket *s, const uint8_t *message, size_t size, uint8_t flags)
{
    uint8_t head[3] = {(uint8_t)(size >> 8), (uint8_t)size, flags};
    size_t head_size = s->tcp ? 2 : 3;

    if (size + head_size > sizeof(s->in) - s->size)
        return;
    memcpy(s->in + s->size, head, head_size);
    memcpy(s->in + s->size + head_size, message, size);
    s->size += head_size + size;
}

static void answer_question(struct fake_socket *s, const uint8_t *question, size_t question_size)
{
    uint8_t out[2048], flags;
    size_t size;
    const uint8_t *message = take_message(&size, &flags);

    if (!message || (flags & MESSAGE_SILENT))
        return;
    size = compose(question, question_size, message, size, flags, out, sizeof(out));
    put(s, out, size, flags);
    if (flags & MESSAGE_TWICE)
        put(s, out, size, flags);
}

/* -- in place of sockets -- */

static ares_socket_t fake_open(int domain, int type, int protocol, void *userdata)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (!sockets[i].open) {
            sockets[i] = (struct fake_socket){.open = true, .tcp = type == SOCK_STREAM};
            return FIRST_FD + (int)i;
        }
    errno = EMFILE;
    return -1;
}

static int fake_close(ares_socket_t fd, void *userdata)
{
    require(socket_of(fd)->open);
    socket_of(fd)->open = false;
    return 0;
}

static int fake_connect(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t size,
                        void *userdata)
{
    return 0;
}

static ares_ssize_t fake_receive(ares_socket_t fd, void *buffer, size_t size, int flags,
                                 struct sockaddr *from, ares_socklen_t *from_size, void *userdata)
{
    struct fake_socket *s = socket_of(fd);
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53)};
    size_t n = s->size - s->read;

    if (n == 0) {
        errno = EAGAIN;
        return -1;
    }
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!s->tcp) {
        n = (size_t)(s->in[s->read] << 8 | s->in[s->read + 1]);
        if (s->in[s->read + 2] & MESSAGE_STRANGER)
            server.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
        s->read += 3;
    }
    size_t taken = MIN_OF(n, size);
    memcpy(buffer, s->in + s->read, taken);
    s->read += s->tcp ? taken : n;
    if (from && from_size && *from_size >= sizeof(server)) {
        memcpy(from, &server, sizeof(server));
        *from_size = sizeof(server);
    }
    return (ares_ssize_t)taken;
}

static ares_ssize_t fake_send(ares_socket_t fd, const struct iovec *parts, int n, void *userdata)
{
    struct fake_socket *s = socket_of(fd);
    uint8_t bytes[4096];
    size_t size = 0;

    for (int i = 0; i < n; i++) {
        require(parts[i].iov_len <= sizeof(bytes) - size);
        memcpy(bytes + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    /* By TCP several at once, each with its length. */
    for (size_t at = 0, one = size; at < size; at += one) {
        if (s->tcp) {
            require(size - at > 2);
            one = (size_t)(bytes[at] << 8 | bytes[at + 1]);
            at += 2;
            require(one <= size - at);
        }
        answer_question(s, bytes + at, one);
    }
    return (ares_ssize_t)size;
}

static const struct ares_socket_functions functions = {
    .asocket = fake_open,
    .aclose = fake_close,
    .aconnect = fake_connect,
    .arecvfrom = fake_receive,
    .asendv = fake_send,
};

/* -- a lookup -- */

static void told(void *userdata, enum resolve_status status, const struct ip_address *addresses,
                 size_t count)
{
    bool v6 = false;

    answers++;
    require(userdata == &answers);
    require((status == RESOLVE_OK) == (count > 0));
    require(count <= GATE_ADDRESSES_MAX);
    for (size_t i = 0; i < count; i++) {
        require(addresses[i].family == (v6 ? AF_INET6 : addresses[i].family));
        require(addresses[i].family == AF_INET || addresses[i].family == AF_INET6);
        v6 = addresses[i].family == AF_INET6;
    }
}

static bool turn(struct resolver *resolver)
{
    bool moved = false;

    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (!sockets[i].open)
            continue;
        size_t before = sockets[i].read, came = sockets[i].size;
        ares_socket_t fd = FIRST_FD + (int)i;
        ares_process_fd(resolver->channel, fd, fd);
        moved = moved || !sockets[i].open || sockets[i].read != before || sockets[i].size != came;
    }
    return moved;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_loop loop;
    struct resolver *resolver;
    struct resolve_query *query, *second;

    input = data;
    input_left = size;
    answers = 0;
    require(event_loop_init(&loop, 8) == 0);
    require(resolver_new(&loop, &resolver) == 0);
    require(ares_set_servers_csv(resolver->channel, "127.0.0.1") == ARES_SUCCESS);
    ares_set_socket_functions(resolver->channel, &functions, NULL);

    resolver_lookup(resolver, "name.example", told, &answers, &query);
    resolver_lookup(resolver, "other.example", told, &answers, &second);
    for (int i = 0; i < TURNS_MAX && turn(resolver); i++)
        ;
    require(answers <= 2);
    resolver = resolver_free(resolver);
    require(answers == 2);
    require(loop.n_timers == 0);
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        require(!sockets[i].open);
    event_loop_deinit(&loop);
    return 0;
}

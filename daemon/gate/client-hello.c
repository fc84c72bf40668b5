/* See client-hello.h. First the records are counted until they hold the whole message, then it is
 * read by a cursor that steps over the heads of records between its bytes: nothing is copied. */
#include "client-hello.h"

#include <stdint.h>

#include "caged-limits.h"
#include "util.h"

#define RECORD_HEAD_SIZE 5
#define RECORD_SIZE_MAX (1 << 14) /* RFC 8446, section 5.1 */
#define RECORD_HANDSHAKE 22
#define VERSION_MAJOR 3 /* of SSL 3 and of every TLS so far */
#define HANDSHAKE_HEAD_SIZE 4
#define HANDSHAKE_CLIENT_HELLO 1
#define RANDOM_SIZE 32
#define SESSION_ID_MAX 32
#define EXTENSION_SERVER_NAME 0
#define NAME_TYPE_HOST 0
#define NAME_SIZE_MAX (HOST_NAME_MAX_LENGTH + 1) /* and a dot at its end */

/* -- the message, across its records -- */

struct cursor {
    const uint8_t *next;
    size_t in_record; /* left in this record; then another one's head follows */
    size_t left;      /* of the vector that is read: never more than the records hold */
};

static size_t record_size(const uint8_t *head)
{
    return (size_t)head[3] << 8 | head[4];
}

static bool get_number(struct cursor *c, unsigned width, size_t *ret)
{
    size_t value = 0;

    if (c->left < width)
        return false;
    c->left -= width;
    for (; width > 0; width--) {
        if (c->in_record == 0) {
            c->in_record = record_size(c->next);
            c->next += RECORD_HEAD_SIZE;
        }
        value = value << 8 | *c->next++;
        c->in_record--;
    }
    *ret = value;
    return true;
}

static bool skip(struct cursor *c, size_t size)
{
    if (c->left < size)
        return false;
    c->left -= size;
    while (size > 0) {
        if (c->in_record == 0) {
            c->in_record = record_size(c->next);
            c->next += RECORD_HEAD_SIZE;
        }
        size_t n = MIN_OF(size, c->in_record);
        c->next += n;
        c->in_record -= n;
        size -= n;
    }
    return true;
}

/* A vector behind its length, as a cursor of its own. */
static bool get_vector(struct cursor *c, unsigned width, struct cursor *ret)
{
    size_t size;

    if (!get_number(c, width, &size) || size > c->left)
        return false;
    *ret = *c;
    ret->left = size;
    return skip(c, size);
}

/* Each returns NULL, or what is wrong. */

static const char *read_name(struct cursor c, struct client_hello *hello)
{
    char text[NAME_SIZE_MAX];
    size_t size = c.left;
    const char *why;

    if (size == 0)
        return "the server name in it is empty";
    hello->has_name = true;
    if (size > sizeof(text)) {
        hello->name_fault = "the name is longer than 253 characters";
        return NULL;
    }
    for (size_t i = 0; i < size; i++) {
        size_t byte;
        if (!get_number(&c, 1, &byte))
            return "the server name in it is cut off";
        text[i] = (char)byte;
    }
    if (host_parse(text, size, &hello->name, &why) < 0)
        hello->name_fault = why;
    return NULL;
}

/* RFC 6066 has one type of name and at most one name of a type. */
static const char *read_server_name(struct cursor extension, struct client_hello *hello)
{
    struct cursor list, name;
    size_t type;

    if (!get_vector(&extension, 2, &list) || extension.left > 0)
        return "its list of server names has a wrong length";
    if (!get_number(&list, 1, &type))
        return "its list of server names is empty";
    if (type != NAME_TYPE_HOST)
        return "it names the server by something other than a host name";
    if (!get_vector(&list, 2, &name))
        return "the server name in it has a wrong length";
    if (list.left > 0)
        return "it has more than one server name";
    return read_name(name, hello);
}

static const char *read_extensions(struct cursor extensions, struct client_hello *hello)
{
    bool named = false;

    while (extensions.left > 0) {
        struct cursor extension;
        size_t type;
        if (!get_number(&extensions, 2, &type) || !get_vector(&extensions, 2, &extension))
            return "one of its extensions has a wrong length";
        if (type != EXTENSION_SERVER_NAME)
            continue;
        if (named)
            return "it has two extensions with the server's name";
        named = true;
        const char *fault = read_server_name(extension, hello);
        if (fault)
            return fault;
    }
    return NULL;
}

static const char *read_message(struct cursor c, struct client_hello *hello)
{
    struct cursor session, suites, compressions, extensions;
    size_t major;

    if (!skip(&c, HANDSHAKE_HEAD_SIZE) || !get_number(&c, 1, &major) || !skip(&c, 1) ||
        !skip(&c, RANDOM_SIZE))
        return "it is too short";
    if (major != VERSION_MAJOR)
        return "its version is none of TLS";
    if (!get_vector(&c, 1, &session) || session.left > SESSION_ID_MAX)
        return "its session id has a wrong length";
    if (!get_vector(&c, 2, &suites) || suites.left == 0 || suites.left % 2 != 0)
        return "its list of cipher suites has a wrong length";
    if (!get_vector(&c, 1, &compressions) || compressions.left == 0)
        return "its list of compression methods has a wrong length";
    if (c.left == 0) /* as before TLS 1.2 */
        return NULL;
    if (!get_vector(&c, 2, &extensions) || c.left > 0)
        return "its list of extensions has a wrong length";
    return read_extensions(extensions, hello);
}

/* -- the records -- */

static enum client_hello_status fail(enum client_hello_status status, const char *why,
                                     const char **ret_why)
{
    *ret_why = why;
    return status;
}

/* The head of the next record and the first byte behind it, as far as they have come. */
static enum client_hello_status check_record(const struct client_hello_reader *reader,
                                             const uint8_t *record, size_t size,
                                             const char **ret_why)
{
    static const char too_large[] = "it is longer than any hello has to be";
    bool first = reader->next_record == 0;

    if (reader->next_record + RECORD_HEAD_SIZE >= GATE_HELLO_SIZE_MAX)
        return fail(CLIENT_HELLO_TOO_LARGE, too_large, ret_why);
    if ((size >= 1 && record[0] != RECORD_HANDSHAKE) || (size >= 2 && record[1] != VERSION_MAJOR))
        return first ? fail(CLIENT_HELLO_NOT_TLS, "it does not begin as TLS does", ret_why)
                     : fail(CLIENT_HELLO_MALFORMED, "something else stands between its records",
                            ret_why);
    if (size < RECORD_HEAD_SIZE)
        return CLIENT_HELLO_MORE;
    if (record_size(record) == 0 || record_size(record) > RECORD_SIZE_MAX)
        return fail(CLIENT_HELLO_MALFORMED, "one of its records has a wrong length", ret_why);
    if (reader->next_record + RECORD_HEAD_SIZE + record_size(record) > GATE_HELLO_SIZE_MAX)
        return fail(CLIENT_HELLO_TOO_LARGE, too_large, ret_why);
    if (first && size > RECORD_HEAD_SIZE && record[RECORD_HEAD_SIZE] != HANDSHAKE_CLIENT_HELLO)
        return fail(CLIENT_HELLO_MALFORMED, "it begins with another message than a ClientHello",
                    ret_why);
    return size < RECORD_HEAD_SIZE + record_size(record) ? CLIENT_HELLO_MORE : CLIENT_HELLO_DONE;
}

static struct cursor message_begin(const struct client_hello_reader *reader, const uint8_t *data)
{
    return (struct cursor){.next = data, .left = reader->collected};
}

/* A whole record came: what is known by it. */
static enum client_hello_status take_record(struct client_hello_reader *reader, const uint8_t *data,
                                            const char **ret_why)
{
    size_t size = record_size(data + reader->next_record), head;

    reader->next_record += RECORD_HEAD_SIZE + size;
    reader->collected += size;
    if (reader->wanted == 0 && reader->collected >= HANDSHAKE_HEAD_SIZE) {
        struct cursor c = message_begin(reader, data);
        (void)get_number(&c, HANDSHAKE_HEAD_SIZE, &head);
        reader->wanted = HANDSHAKE_HEAD_SIZE + (head & 0xffffff);
    }
    if (reader->wanted == 0)
        return CLIENT_HELLO_MORE;
    if (reader->wanted > GATE_HELLO_SIZE_MAX - RECORD_HEAD_SIZE)
        return fail(CLIENT_HELLO_TOO_LARGE, "it is longer than any hello has to be", ret_why);
    /* A client has nothing to say behind it before the server answers. */
    if (reader->collected > reader->wanted)
        return fail(CLIENT_HELLO_MALFORMED, "its last record holds more than it", ret_why);
    return reader->collected < reader->wanted ? CLIENT_HELLO_MORE : CLIENT_HELLO_DONE;
}

enum client_hello_status client_hello_read(struct client_hello_reader *reader, const void *data,
                                           size_t size, struct client_hello *ret,
                                           const char **ret_why)
{
    enum client_hello_status status;
    struct client_hello hello = {0};

    do {
        status = check_record(reader, (const uint8_t *)data + reader->next_record,
                              size - reader->next_record, ret_why);
        if (status != CLIENT_HELLO_DONE)
            return status;
        status = take_record(reader, data, ret_why);
    } while (status == CLIENT_HELLO_MORE);
    if (status != CLIENT_HELLO_DONE)
        return status;
    const char *fault = read_message(message_begin(reader, data), &hello);
    if (fault)
        return fail(CLIENT_HELLO_MALFORMED, fault, ret_why);
    *ret = hello;
    return CLIENT_HELLO_DONE;
}

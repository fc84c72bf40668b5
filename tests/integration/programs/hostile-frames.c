/* Requests that are cut off, run into each other, come byte by byte, or wave with flags. */
#include "hostile.h"

#include <sys/socket.h>

static const char list[] = "{\"method\":\"io.caged.List\",\"parameters\":{}}";

/* Each beginning of a request, and then the end: of sending, or of everything. */
int attack_frames(const struct target *target)
{
    char reply[TEXT_MAX];
    size_t answered = 0, ended = 0;

    for (size_t size = 0; size <= sizeof(list); size++) { /* the last has the NUL too */
        for (int all = 0; all < 2; all++) {
            int fd = wire_connect(target);
            (void)wire_send(fd, list, size, NULL, 0);
            if (all == 0) {
                (void)shutdown(fd, SHUT_WR);
                bool is_answer = wire_receive(fd, reply, sizeof(reply));
                answered += is_answer;
                ended += !is_answer;
            }
            fd_close(fd);
        }
    }
    printf("answered\t%zu\nended\t%zu\nof\t%zu\n", answered, ended, sizeof(list) + 1);
    return EXIT_SUCCESS;
}

static const char *ask_on(int fd, const char *text)
{
    static char reply[TEXT_MAX];

    return wire_call(fd, text, NULL, 0) && wire_receive(fd, reply, sizeof(reply))
               ? wire_error(reply)
               : "ended";
}

/* What is told of each flag, in each form, and whether the connection goes on. */
int attack_flags(const struct target *target)
{
    static const char *const flags[] = {
        "\"more\":true",     "\"more\":false",     "\"more\":1",
        "\"more\":null",     "\"more\":\"true\"",  "\"upgrade\":true",
        "\"upgrade\":false", "\"upgrade\":0",      "\"oneway\":false",
        "\"oneway\":[]",     "\"oneway\":\"yes\"", "\"more\":true,\"more\":true",
        "\"surprise\":true",
    };
    char text[256];

    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        int fd = wire_connect(target);
        (void)snprintf(text, sizeof(text), "{\"method\":\"io.caged.List\",%s}", flags[i]);
        printf("%s\t%s\t", flags[i], ask_on(fd, text));
        printf("%s\n", ask_on(fd, list));
        fd_close(fd);
    }
    /* No answer to these, also where they are wrong; then one to the last. */
    int fd = wire_connect(target);
    for (int i = 0; i < 100; i++)
        if (!wire_call(fd, "{\"method\":\"io.caged.List\",\"oneway\":true}", NULL, 0) ||
            !wire_call(fd, "{\"method\":\"io.caged.No\",\"oneway\":true,\"more\":true}", NULL, 0))
            die("oneway");
    printf("oneway\t%s\n", ask_on(fd, "{\"method\":\"io.caged.Last\"}"));
    fd_close(fd);
    return EXIT_SUCCESS;
}

/* Two calls in each write, whose second comes byte by byte with those of a hundred connections. */
int attack_bytewise(const struct target *target)
{
    char reply[TEXT_MAX], both[2 * sizeof(list)];
    int fds[100];
    size_t answered = 0;

    memcpy(both, list, sizeof(list));
    memcpy(both + sizeof(list), list, sizeof(list));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = wire_connect(target);
    for (size_t at = 0; at < sizeof(both); at++)
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
            if (at == 0 || at >= sizeof(list))
                (void)wire_send(fds[i], both + at, at == 0 ? sizeof(list) : 1, NULL, 0);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        for (int n = 0; n < 2; n++)
            answered +=
                wire_receive(fds[i], reply, sizeof(reply)) && streq(wire_error(reply), "ok");
        fd_close(fds[i]);
    }
    printf("answered\t%zu\n", answered);
    return EXIT_SUCCESS;
}

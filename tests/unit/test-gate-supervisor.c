/* daemon/gate-supervisor with a gate that was taken over: this program, which sends the messages
 * that its configuration holds. What is not in the contract (common/gate-proto.h) kills the gate,
 * reaches nobody, and is said once. And a gate that is held. */
#include "unit-test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "gate-proto.h"
#include "gate-supervisor.h"
#include "records.h"

/* Records of the configuration, the script. */
enum {
    MESSAGE = 1, /* a message to send at once */
    ANSWER,      /* a message to send when a whole update has come; once for each update */
    RETORT,      /* a message to send when an update begins, of which nothing is read then */
    FILLER,      /* bytes without a meaning */
};

#define STEPS_MAX 1000
#define UPDATES_MAX 128
#define BIG (400 * 1024) /* more than a socket takes at once */
#define MODULUS 500      /* what the gate answers of an update: the sum of its bytes by this */

/* -- the gate -- */

/* A script without a word: the gate ends before it is ready. */
static bool is_empty(const void *data, size_t size)
{
    struct records_reader reader = {.data = data, .size = size};
    struct record record;

    return records_next(&reader, &record) == 1 && record.size == 0;
}

static bool has(const void *script, size_t size, uint16_t kind)
{
    struct records_reader reader = {.data = script, .size = size};
    struct record record;

    while (records_next(&reader, &record) == 1)
        if (record.type == kind)
            return true;
    return false;
}

/* Until it is killed: what is more than the socket takes stays with the daemon. */
static NORETURN void read_no_more(void)
{
    for (;;)
        (void)pause();
}

/* Sends each message of the script that is of this kind. If one is an UPDATED of all ones, it is
 * sent with the sum instead. */
static bool send_all(const void *script, size_t size, uint16_t kind, const uint64_t *sum)
{
    struct records_reader reader = {.data = script, .size = size};
    struct record record;

    while (records_next(&reader, &record) == 1) {
        uint8_t message[HELPER_MESSAGE_MAX];
        if (record.type != kind)
            continue;
        memcpy(message, record.value, record.size);
        for (size_t i = 8; sum && i < record.size && message[i] == 0xff; i++)
            if (i + 1 == record.size)
                memcpy(message + 8, sum, sizeof(*sum));
        struct pollfd room = {.fd = GATE_FD_CONTROL, .events = POLLOUT};
        while (send(GATE_FD_CONTROL, message, record.size, MSG_NOSIGNAL) < 0)
            if (errno != EAGAIN || poll(&room, 1, -1) < 0)
                return false;
    }
    return true;
}

/* One message of the daemon; `left` is how much of an update is still to come, `sum` of what. */
static bool take(const void *script, size_t script_size, const struct record *record,
                 uint64_t *left, uint64_t *sum)
{
    if (record->type == GATE_ORDER_UPDATE) {
        if (*left > 0 || record_u64(record, left) < 0)
            return false;
        *sum = 0;
        if (!has(script, script_size, RETORT))
            return true;
        if (!send_all(script, script_size, RETORT, NULL))
            return false;
        read_no_more();
    }
    if (record->type != GATE_ORDER_PART || record->size == 0 || record->size > *left)
        return false;
    for (size_t i = 0; i < record->size; i++)
        *sum = (*sum + ((const uint8_t *)record->value)[i]) % MODULUS;
    *left -= record->size;
    return *left > 0 || send_all(script, script_size, ANSWER, sum);
}

/* Takes updates until the socket ends. */
static int serve(const void *script, size_t script_size)
{
    struct pollfd ready = {.fd = GATE_FD_CONTROL, .events = POLLIN};
    uint8_t message[HELPER_MESSAGE_MAX];
    uint64_t left = 0, sum = 0;

    for (;;) {
        ssize_t n = recv(GATE_FD_CONTROL, message, sizeof(message), 0);
        if (n < 0 && errno == EAGAIN) {
            (void)poll(&ready, 1, -1);
            continue;
        }
        if (n <= 0)
            return n == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        struct records_reader reader = {.data = message, .size = (size_t)n};
        struct record record;
        if (records_next(&reader, &record) != 1 || reader.offset != reader.size ||
            !take(script, script_size, &record, &left, &sum))
            return EXIT_FAILURE;
    }
}

static int be_the_gate(void)
{
    const void *data;
    size_t size;

    if (memfd_map_sealed(GATE_FD_CONFIG, SPEC_SIZE_MAX, &data, &size) < 0)
        return EXIT_FAILURE;
    if (is_empty(data, size))
        return EXIT_FAILURE;
    if (!send_all(data, size, MESSAGE, NULL))
        return EXIT_FAILURE;
    return serve(data, size);
}

static void add_as(struct records_writer *script, uint16_t kind, struct records_writer *message)
{
    assert_int_equal(records_put(script, kind, message->data, message->size), 0);
    records_writer_deinit(message);
}

static void add(struct records_writer *script, struct records_writer *message)
{
    add_as(script, MESSAGE, message);
}

static void add_updated(struct records_writer *script, uint16_t kind, uint64_t n)
{
    struct records_writer w = {0};
    (void)records_put_u64(&w, GATE_MESSAGE_UPDATED, n);
    add_as(script, kind, &w);
}

static void add_ready(struct records_writer *script)
{
    struct records_writer w = {0};
    (void)records_put(&w, GATE_MESSAGE_READY, NULL, 0);
    add(script, &w);
}

static void add_failed(struct records_writer *script, const char *why)
{
    struct records_writer w = {0};
    (void)records_put_string(&w, GATE_MESSAGE_FAILED, why);
    add(script, &w);
}

static void put_subject(struct records_writer *w, const char *host)
{
    (void)records_put_string(w, GATE_MESSAGE_METHOD, "CONNECT");
    (void)records_put_string(w, GATE_MESSAGE_HOST, host);
    (void)records_put_u64(w, GATE_MESSAGE_PORT, 443);
    (void)records_put_string(w, GATE_MESSAGE_ADDRESS, "11.22.33.44");
    (void)records_put_string(w, GATE_MESSAGE_RULE, host);
    (void)records_put_string(w, GATE_MESSAGE_REASON, "ok");
}

static void put_decision_of(struct records_writer *w, enum gate_verdict verdict, uint64_t request,
                            uint64_t count, const char *host)
{
    (void)records_put_u64(w, GATE_MESSAGE_DECISION, verdict);
    (void)records_put_u64(w, GATE_MESSAGE_REQUEST, request);
    put_subject(w, host);
    (void)records_put_u64(w, GATE_MESSAGE_STATUS, 0);
    (void)records_put_u64(w, GATE_MESSAGE_COUNT, count);
}

static void put_decision(struct records_writer *w, enum gate_verdict verdict, uint64_t count,
                         const char *host)
{
    put_decision_of(w, verdict, count == 1 ? 1 : 0, count, host);
}

static void put_end_of(struct records_writer *w, uint64_t request, uint64_t count, const char *host)
{
    (void)records_put_u64(w, GATE_MESSAGE_END, request);
    put_subject(w, host);
    (void)records_put_u64(w, GATE_MESSAGE_BYTES_UP, 7);
    (void)records_put_u64(w, GATE_MESSAGE_BYTES_DOWN, INT64_MAX);
    (void)records_put_u64(w, GATE_MESSAGE_DURATION_USEC, 0);
    (void)records_put_u64(w, GATE_MESSAGE_COUNT, count);
}

static void put_end(struct records_writer *w, uint64_t count, const char *host)
{
    put_end_of(w, count == 1 ? 1 : 0, count, host);
}

static void add_decision(struct records_writer *script, const char *host)
{
    struct records_writer w = {0};
    put_decision(&w, GATE_REFUSED, 1, host);
    add(script, &w);
}

/* -- the daemon -- */

struct seen {
    unsigned decided, ended;
    uint64_t n_without_end;
    char failures[256]; /* one after the other, each with a ";" */
    bool died, stopped;
    unsigned updated;
    uint64_t n_ended[UPDATES_MAX];      /* of each update that was answered */
    uint64_t in_force[UPDATES_MAX];     /* the newest update that was, when it was answered */
    const struct gate_supervisor *gate; /* NULL: not looked at */
    bool client_closed; /* what the agent sees of its connection when the gate has died */
};

static void on_decided(void *user, const struct gate_decision *decision)
{
    struct seen *seen = user;
    assert_string_equal(decision->host, "a.example");
    seen->decided++;
}

static void on_ended(void *user, const struct gate_end *end)
{
    struct seen *seen = user;
    assert_string_equal(end->host, "a.example");
    assert_int_equal(end->bytes_up, 7);
    seen->ended++;
}

static void on_failed(void *user, const char *why, uint64_t n_without_end)
{
    struct seen *seen = user;
    size_t n = strlen(seen->failures);
    seen->n_without_end = n_without_end;
    (void)snprintf(seen->failures + n, sizeof(seen->failures) - n, "%s;", why);
    seen->died = seen->died || has_prefix(why, "it was killed") || has_prefix(why, "it exited");
}

static void on_stopped(void *user)
{
    struct seen *seen = user;
    seen->stopped = true;
}

static void on_updated(void *user, uint64_t n_ended)
{
    struct seen *seen = user;
    uint64_t in_force = 0;

    while (seen->gate && gate_supervisor_is_updated(seen->gate, in_force + 1))
        in_force++;
    assert_true(seen->updated < UPDATES_MAX);
    seen->in_force[seen->updated] = in_force;
    seen->n_ended[seen->updated++] = n_ended;
}

/* A supervisor, and the connection that will have it start a gate. */
struct scene {
    int listener, client, self, null;
    sd_event *event;
    struct gate_supervisor *gate;
    struct seen *seen;
};

static void scene_begin(struct scene *scene, struct records_writer *script, struct seen *seen)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    *seen = (struct seen){0};
    *scene = (struct scene){
        .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
        .client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
        .self = open("/proc/self/exe", O_PATH | O_CLOEXEC),
        .null = open("/dev/null", O_RDWR | O_CLOEXEC),
        .seen = seen,
    };
    assert_int_equal(bind(scene->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(scene->listener, 1), 0);
    assert_int_equal(getsockname(scene->listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(scene->client, (struct sockaddr *)&address, size), 0);
    assert_true(sd_event_new(&scene->event) >= 0);
    const struct gate_setup setup = {
        .event = scene->event,
        .executable = scene->self,
        .null = scene->null,
        .config = memfd_new_sealed("script", script->data, script->size),
        .cgroup_fd = -EBADF,
        .listeners = &scene->listener,
        .n_listeners = 1,
        .user = seen,
        .decided = on_decided,
        .ended = on_ended,
        .failed = on_failed,
        .updated = on_updated,
        .stopped = on_stopped,
    };
    assert_int_equal(gate_supervisor_new(&setup, &scene->gate), 0);
    seen->gate = scene->gate;
    records_writer_deinit(script);
}

static void scene_step(struct scene *scene)
{
    assert_true(sd_event_run(scene->event, 10000000) > 0);
}

static void scene_end(struct scene *scene)
{
    struct seen *seen = scene->seen;

    assert_int_equal(gate_supervisor_stop(scene->gate), 0);
    for (int i = 0; i < STEPS_MAX && !seen->stopped; i++)
        scene_step(scene);
    assert_true(seen->stopped);
    gate_supervisor_free(scene->gate);
    sd_event_unref(scene->event);
    fd_close(scene->listener);
    fd_close(scene->client);
    fd_close(scene->self);
    fd_close(scene->null);
}

/* Lets a gate with this script be started by a connection; until it died, or sent `decisions`. */
static void run(struct records_writer *script, unsigned decisions, struct seen *seen)
{
    struct scene scene;
    char byte;

    scene_begin(&scene, script, seen);
    for (int i = 0; i < STEPS_MAX && !seen->died && (!decisions || seen->decided < decisions); i++)
        scene_step(&scene);
    seen->client_closed = recv(scene.client, &byte, 1, MSG_DONTWAIT) == 0;
    scene_end(&scene);
}

static void test_good_messages(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    add_ready(&script);
    for (int i = 0; i < 100; i++)
        add_decision(&script, "a.example");
    run(&script, 100, &seen);
    assert_int_equal(seen.decided, 100);
    assert_string_equal(seen.failures, "");
}

#define MISBEHAVED "it sent a message that it never should;it was killed;"

static void test_a_failure_is_the_last_word(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    for (int i = 0; i < 5; i++)
        add_failed(&script, "no memory");
    run(&script, 0, &seen);
    assert_string_equal(seen.failures, "no memory;it was killed;");

    add_ready(&script);
    for (int i = 0; i < 5; i++)
        add_failed(&script, "flooding the log");
    run(&script, 0, &seen);
    assert_string_equal(seen.failures, MISBEHAVED);
}

static void test_what_no_gate_says(void **state)
{
    static const char *const hosts[] = {"\033[2J", "a\nb", "a\x7f", "\xff"};
    struct records_writer script = {0};
    struct seen seen;

    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        add_ready(&script);
        add_decision(&script, hosts[i]);
        add_decision(&script, "a.example");
        run(&script, 0, &seen);
        assert_string_equal(seen.failures, MISBEHAVED);
        assert_int_equal(seen.decided, 0);
    }
    add_decision(&script, "a.example"); /* before READY */
    run(&script, 0, &seen);
    assert_string_equal(seen.failures, MISBEHAVED);
    add_failed(&script, "\033[2J");
    run(&script, 0, &seen);
    assert_string_equal(seen.failures, MISBEHAVED);
    assert_int_equal(seen.decided, 0);
}

/* Nothing of a message reaches anybody if the contract does not have all of it. */
static void test_a_good_group_before_a_bad_one_is_not_taken(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    for (int bad = 0; bad < 6; bad++) {
        struct records_writer w = {0};
        put_decision(&w, GATE_ALLOWED, 1, "a.example");
        put_end(&w, 1, "a.example");
        if (bad == 0)
            put_decision(&w, GATE_VERDICT_COUNT, 1, "a.example");
        else if (bad == 1)
            put_decision(&w, GATE_HELD, 2, "a.example");
        else if (bad == 2)
            put_end(&w, 0, "a.example");
        else if (bad == 3)
            put_decision_of(&w, GATE_ALLOWED, (uint64_t)INT64_MAX + 1, 1, "a.example");
        else if (bad == 4)
            put_end_of(&w, (uint64_t)INT64_MAX + 1, 1, "a.example");
        else
            put_end(&w, (uint64_t)UINT32_MAX + 1, "a.example");
        add_ready(&script);
        add(&script, &w);
        run(&script, 0, &seen);
        assert_string_equal(seen.failures, MISBEHAVED);
        assert_int_equal(seen.decided + seen.ended, 0);
    }
}

/* A gate that dies is asked for the ends that it owes, and so is one that is told to end. */
static void test_requests_without_an_end_are_counted(void **state)
{
    struct records_writer script = {0}, w = {0};
    struct seen seen;

    put_decision(&w, GATE_ALLOWED, 5, "a.example");
    put_decision(&w, GATE_ALLOWED, 1, "a.example");
    put_decision(&w, GATE_HELD, 1, "a.example");
    put_decision(&w, GATE_REFUSED, 9, "a.example");
    put_end(&w, 2, "a.example");
    add_ready(&script);
    add(&script, &w);
    run(&script, 4, &seen);
    assert_int_equal(seen.ended, 1);
    assert_string_equal(seen.failures, "it exited;");
    assert_int_equal(seen.n_without_end, 4);

    put_decision(&w, GATE_ALLOWED, 1, "a.example");
    put_end(&w, 1, "a.example");
    add_ready(&script);
    add(&script, &w);
    run(&script, 1, &seen);
    assert_string_equal(seen.failures, "");
}

static void test_without_a_gate_the_connection_is_closed(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    assert_int_equal(records_put(&script, MESSAGE, NULL, 0), 0);
    run(&script, 0, &seen);
    assert_string_equal(seen.failures, "it exited;");
    assert_true(seen.client_closed);
}

/* Else the gate that has just died would be followed by another at once, and so on. */
static void test_without_a_gate_a_question_is_thrown_away(void **state)
{
    struct records_writer script = {0};
    struct seen seen = {0};
    struct gate_supervisor *gate = NULL;
    sd_event *event = NULL;
    char byte = 'x';
    int names[2];
    AUTO_FD int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, names), 0);
    assert_int_equal(records_put(&script, MESSAGE, NULL, 0), 0);
    assert_true(sd_event_new(&event) >= 0);
    const struct gate_setup setup = {
        .event = event,
        .executable = self,
        .null = null,
        .config = memfd_new_sealed("script", script.data, script.size),
        .cgroup_fd = -EBADF,
        .listeners = names,
        .n_listeners = 1,
        .user = &seen,
        .failed = on_failed,
    };
    assert_int_equal(gate_supervisor_new(&setup, &gate), 0);
    assert_int_equal(send(names[1], "question", 8, 0), 8);
    assert_int_equal(send(names[1], "another", 7, 0), 7);
    for (int i = 0; i < STEPS_MAX && !seen.died; i++)
        assert_true(sd_event_run(event, 10000000) > 0);
    assert_string_equal(seen.failures, "it exited;");
    assert_int_equal(recv(names[0], &byte, 1, MSG_DONTWAIT), -1);
    gate_supervisor_free(gate);
    sd_event_unref(event);
    fd_close(names[0]);
    fd_close(names[1]);
    records_writer_deinit(&script);
}

/* -- updates -- */

/* A configuration of so many bytes or a few more; a gate that starts with it sends nothing and
 * stays. *ret_sum is what a gate answers that was sent it. */
static int update_of(size_t size, uint8_t filler, uint64_t *ret_sum)
{
    struct records_writer w = {0};
    uint8_t *data = malloc(size);
    uint64_t sum = 0;

    memset(data, filler, size);
    assert_int_equal(records_put(&w, FILLER, data, size), 0);
    for (size_t i = 0; i < w.size; i++)
        sum += w.data[i];
    *ret_sum = sum % MODULUS;
    int fd = memfd_new_sealed("update", w.data, w.size);
    assert_true(fd >= 0);
    records_writer_deinit(&w);
    free(data);
    return fd;
}

/* Runs a gate by this script until it runs and is ready, as a decision of it tells. */
static void scene_begin_ready(struct scene *scene, struct records_writer *script, struct seen *seen)
{
    struct records_writer ready = {0};

    add_ready(&ready);
    add_decision(&ready, "a.example");
    assert_int_equal(records_put(&ready, FILLER, "", 1), 0);
    ready.data = realloc(ready.data, ready.size + script->size);
    memcpy(ready.data + ready.size, script->data, script->size);
    ready.size += script->size;
    records_writer_deinit(script);
    scene_begin(scene, &ready, seen);
    for (int i = 0; i < STEPS_MAX && seen->decided == 0; i++)
        scene_step(scene);
    assert_int_equal(seen->decided, 1);
}

static void until_updated(struct scene *scene, uint64_t update)
{
    for (int i = 0; i < STEPS_MAX && !gate_supervisor_is_updated(scene->gate, update); i++)
        scene_step(scene);
    assert_true(gate_supervisor_is_updated(scene->gate, update));
}

static void test_an_update_comes_whole_whatever_its_size(void **state)
{
    static const size_t sizes[] = {1, 3491, 3492, 3493, 100000, BIG};
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;
    uint64_t sum;

    add_updated(&script, ANSWER, UINT64_MAX);
    scene_begin_ready(&scene, &script, &seen);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint64_t update =
            gate_supervisor_update(scene.gate, update_of(sizes[i], (uint8_t)(i + 1), &sum));
        assert_int_equal(update, i + 1);
        assert_false(gate_supervisor_is_updated(scene.gate, update));
        until_updated(&scene, update);
        assert_int_equal(seen.updated, i + 1);
        assert_int_equal(seen.n_ended[i], sum);
    }
    assert_string_equal(seen.failures, "");
    scene_end(&scene);
}

static void test_without_a_gate_an_update_is_in_force_at_once(void **state)
{
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;
    uint64_t sum;

    add_failed(&script, "the old script"); /* which no gate gets to see */
    scene_begin(&scene, &script, &seen);
    add_ready(&script);
    add_decision(&script, "a.example");
    uint64_t first = gate_supervisor_update(scene.gate, update_of(1, 1, &sum));
    uint64_t update =
        gate_supervisor_update(scene.gate, memfd_new_sealed("script", script.data, script.size));
    records_writer_deinit(&script);
    assert_true(gate_supervisor_is_updated(scene.gate, first));
    assert_true(gate_supervisor_is_updated(scene.gate, update));
    assert_false(gate_supervisor_is_updated(scene.gate, update + 1));
    for (int i = 0; i < STEPS_MAX && seen.decided == 0; i++)
        scene_step(&scene);
    assert_int_equal(seen.decided, 1);
    assert_string_equal(seen.failures, "");
    assert_int_equal(seen.updated, 0);
    scene_end(&scene);
}

static void test_only_the_newest_of_many_updates_is_sent(void **state)
{
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;
    uint64_t first_sum, sum, update = 0;

    add_updated(&script, ANSWER, UINT64_MAX);
    scene_begin_ready(&scene, &script, &seen);
    uint64_t first = gate_supervisor_update(scene.gate, update_of(BIG, 1, &first_sum));
    for (int i = 0; i < 100; i++)
        update = gate_supervisor_update(scene.gate, update_of(1000, (uint8_t)i, &sum));
    until_updated(&scene, update); /* both answers may come in one step */
    assert_int_equal(seen.updated, 2);
    assert_int_equal(seen.in_force[0], first);
    assert_int_equal(seen.n_ended[0], first_sum);
    assert_int_equal(seen.in_force[1], update);
    assert_int_equal(seen.n_ended[1], sum);
    scene_end(&scene);
}

/* What a gate may do to an update that is not to take it. */
static void run_update(struct records_writer *script, size_t size, struct seen *seen,
                       const char *failures)
{
    struct scene scene;
    uint64_t sum;

    scene_begin_ready(&scene, script, seen);
    uint64_t update = gate_supervisor_update(scene.gate, update_of(size, 1, &sum));
    until_updated(&scene, update);
    for (int i = 0; i < STEPS_MAX && !seen->died; i++)
        scene_step(&scene);
    assert_string_equal(seen->failures, failures);
    assert_int_equal(seen->updated, 0);
    scene_end(&scene);
}

static void test_a_gate_that_does_not_take_an_update_dies(void **state)
{
    struct records_writer script = {0}, failed = {0};
    struct seen seen;

    add_failed(&failed, "no memory for it");
    struct records_reader reader = {.data = failed.data, .size = failed.size};
    struct record message;
    assert_int_equal(records_next(&reader, &message), 1);
    assert_int_equal(records_put(&script, ANSWER, message.value, message.size), 0);
    records_writer_deinit(&failed);
    run_update(&script, 10, &seen, "no memory for it;it was killed;");

    add_updated(&script, RETORT, 0); /* before it can have all of it */
    run_update(&script, BIG, &seen, MISBEHAVED);
    add_updated(&script, ANSWER, GATE_CONNECTIONS_MAX + GATE_REFUSING_MAX + 1);
    run_update(&script, 10, &seen, MISBEHAVED);
    assert_int_equal(records_put(&script, FILLER, "", 1), 0); /* silence */
    run_update(&script, BIG, &seen, "it did not take an update in time;it was killed;");
}

static void test_an_answer_that_nobody_asked_for(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    add_ready(&script);
    add_updated(&script, MESSAGE, 0);
    run(&script, 0, &seen);
    assert_string_equal(seen.failures, MISBEHAVED);
    assert_int_equal(seen.updated, 0);
}

static void test_a_stop_in_the_middle_of_an_update(void **state)
{
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;
    uint64_t sum;

    assert_int_equal(records_put(&script, FILLER, "", 1), 0);
    scene_begin_ready(&scene, &script, &seen);
    (void)gate_supervisor_update(scene.gate, update_of(BIG, 1, &sum));
    scene_end(&scene);
    assert_int_equal(seen.updated, 0);
}

/* -- holds -- */

/* Runs the loop until nothing has come for a while. */
static void until_silence(struct scene *scene)
{
    int r;

    do
        r = sd_event_run(scene->event, 300000);
    while (r > 0);
    assert_int_equal(r, 0);
}

static void until_started(struct scene *scene)
{
    for (int i = 0; i < STEPS_MAX && gate_supervisor_pid(scene->gate) == 0; i++)
        scene_step(scene);
    assert_true(gate_supervisor_pid(scene->gate) > 0);
}

/* A gate that is held is not started, and not heard; then what it said meanwhile is all there. */
static void test_a_hold(void **state)
{
    enum { DECISIONS = 200 };
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;

    add_ready(&script);
    for (int i = 0; i < DECISIONS; i++)
        add_decision(&script, "a.example");
    scene_begin(&scene, &script, &seen);
    gate_supervisor_hold(scene.gate, true);
    until_silence(&scene);
    assert_int_equal(gate_supervisor_pid(scene.gate), 0);

    gate_supervisor_hold(scene.gate, false);
    until_started(&scene);
    gate_supervisor_hold(scene.gate, true);
    until_silence(&scene);
    assert_int_equal(seen.decided, 0);

    gate_supervisor_hold(scene.gate, false);
    while (seen.decided < DECISIONS)
        scene_step(&scene);
    assert_string_equal(seen.failures, "");
    scene_end(&scene);
    assert_int_equal(seen.decided, DECISIONS);
}

static void test_a_stop_ends_a_hold(void **state)
{
    enum { DECISIONS = 1000 }; /* more than the socket holds */
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;

    add_ready(&script);
    for (int i = 0; i < DECISIONS; i++)
        add_decision(&script, "a.example");
    scene_begin(&scene, &script, &seen);
    until_started(&scene);
    gate_supervisor_hold(scene.gate, true);
    until_silence(&scene);
    scene_end(&scene);
    assert_int_equal(seen.decided, DECISIONS);
}

/* Nor can it be told of an update, since its answer would not be heard; one that is under way is.
 */
static void test_an_update_waits_for_the_end_of_a_hold(void **state)
{
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;
    uint64_t sum;

    add_updated(&script, ANSWER, UINT64_MAX);
    scene_begin_ready(&scene, &script, &seen);
    uint64_t first = gate_supervisor_update(scene.gate, update_of(BIG, 1, &sum));
    gate_supervisor_hold(scene.gate, true);
    uint64_t second = gate_supervisor_update(scene.gate, update_of(10, 2, &sum));
    until_updated(&scene, first);
    until_silence(&scene);
    assert_false(gate_supervisor_is_updated(scene.gate, second));
    gate_supervisor_hold(scene.gate, false);
    until_updated(&scene, second);
    assert_int_equal(seen.updated, 2);
    assert_int_equal(seen.n_ended[1], sum);
    assert_string_equal(seen.failures, "");
    scene_end(&scene);
}

static void test_too_many_listeners(void **state)
{
    const struct gate_setup setup = {.config = -EBADF, .n_listeners = GATE_LISTENERS_MAX + 1};
    struct gate_supervisor *gate = NULL;
    assert_int_equal(gate_supervisor_new(&setup, &gate), -E2BIG);
    assert_null(gate);
}

int main(int argc, char **argv)
{
    if (strcmp(argv[0], "caged-gate") == 0)
        return be_the_gate();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_messages),
        cmocka_unit_test(test_a_failure_is_the_last_word),
        cmocka_unit_test(test_what_no_gate_says),
        cmocka_unit_test(test_a_good_group_before_a_bad_one_is_not_taken),
        cmocka_unit_test(test_requests_without_an_end_are_counted),
        cmocka_unit_test(test_without_a_gate_the_connection_is_closed),
        cmocka_unit_test(test_without_a_gate_a_question_is_thrown_away),
        cmocka_unit_test(test_too_many_listeners),
        cmocka_unit_test(test_a_hold),
        cmocka_unit_test(test_a_stop_ends_a_hold),
        cmocka_unit_test(test_an_update_waits_for_the_end_of_a_hold),
        cmocka_unit_test(test_an_update_comes_whole_whatever_its_size),
        cmocka_unit_test(test_without_a_gate_an_update_is_in_force_at_once),
        cmocka_unit_test(test_only_the_newest_of_many_updates_is_sent),
        cmocka_unit_test(test_a_gate_that_does_not_take_an_update_dies),
        cmocka_unit_test(test_an_answer_that_nobody_asked_for),
        cmocka_unit_test(test_a_stop_in_the_middle_of_an_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

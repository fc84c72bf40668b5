/* What the tests of gates' supervisors all need. */
#include "gate-scene.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "fd-io.h"
#include "util.h"

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

void seen_failed(void *user, const char *why, uint64_t n_without_end)
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
    assert_true(seen->updated < SCENE_UPDATES_MAX);
    seen->in_force[seen->updated] = in_force;
    seen->n_ended[seen->updated++] = n_ended;
}

void scene_begin(struct scene *scene, struct records_writer *script, struct seen *seen)
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
        .failed = seen_failed,
        .updated = on_updated,
        .stopped = on_stopped,
    };
    assert_int_equal(gate_supervisor_new(&setup, &scene->gate), 0);
    seen->gate = scene->gate;
    records_writer_deinit(script);
}

void scene_step(struct scene *scene)
{
    assert_true(sd_event_run(scene->event, 10000000) > 0);
}

void scene_end(struct scene *scene)
{
    struct seen *seen = scene->seen;

    assert_int_equal(gate_supervisor_stop(scene->gate), 0);
    for (int i = 0; i < SCENE_STEPS_MAX && !seen->stopped; i++)
        scene_step(scene);
    assert_true(seen->stopped);
    gate_supervisor_free(scene->gate);
    sd_event_unref(scene->event);
    fd_close(scene->listener);
    fd_close(scene->client);
    fd_close(scene->self);
    fd_close(scene->null);
}

void scene_run(struct records_writer *script, unsigned decisions, struct seen *seen)
{
    struct scene scene;
    char byte;

    scene_begin(&scene, script, seen);
    for (int i = 0; i < SCENE_STEPS_MAX && !seen->died && (!decisions || seen->decided < decisions);
         i++)
        scene_step(&scene);
    seen->client_closed = recv(scene.client, &byte, 1, MSG_DONTWAIT) == 0;
    scene_end(&scene);
}

void scene_begin_ready(struct scene *scene, struct records_writer *script, struct seen *seen)
{
    struct records_writer ready = {0};

    script_add_ready(&ready);
    script_add_decision(&ready, "a.example");
    assert_int_equal(records_put(&ready, SCRIPT_FILLER, "", 1), 0);
    ready.data = realloc(ready.data, ready.size + script->size);
    memcpy(ready.data + ready.size, script->data, script->size);
    ready.size += script->size;
    records_writer_deinit(script);
    scene_begin(scene, &ready, seen);
    for (int i = 0; i < SCENE_STEPS_MAX && seen->decided == 0; i++)
        scene_step(scene);
    assert_int_equal(seen->decided, 1);
}

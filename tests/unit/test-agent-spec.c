/* daemon/agent/agent-spec.c against daemon/init/spec.c: what the daemon writes, caged-init takes,
 * also where the card and the preset are as large as they may be. */
#include "unit-test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/mman.h>

#include "agent/agent-spec.h"
#include "caged-limits.h"
#include "fd-io.h"
#include "init/spec.h"

static char path[] = "/home/alice/project";

#define CARD_START "{\"agent_id\":\"a\",\"workspace\":\"/w\",\"command\":[\"x\"]"

static struct card *card_of(const char *text)
{
    struct card *card = NULL;
    struct card_error error;

    assert_int_equal(card_parse_text(text, strlen(text), &card, &error), 0);
    return card;
}

/* `n` variables PREFIX0, PREFIX1, ... */
static void add_variables(struct card_variable **variables, size_t *count, const char *prefix,
                          size_t n)
{
    char name[32];

    for (size_t i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "%s%zu", prefix, i);
        assert_int_equal(card_variables_append(variables, count, name, "v"), 0);
    }
}

/* Whether caged-init takes what the daemon makes of it; then how many variables. */
static size_t variables_taken(const struct card *card, const struct preset *preset,
                              const char *api_key)
{
    const struct workspace workspace = {.path = path, .owner = 1000, .group = 1000};
    const struct agent_spec_input input = {
        .card = card,
        .preset = preset,
        .command = &card->command,
        .workspace = &workspace,
        .api_key = api_key,
        .uid_base = 65536,
        .gate_address.s_addr = htonl(INADDR_LOOPBACK),
    };
    AUTO_FD int fd = agent_spec_new(&input);
    struct init_spec spec;
    const char *why = "";
    const void *data;
    size_t size;

    assert_true(fd >= 0);
    assert_int_equal(memfd_map_sealed(fd, SPEC_SIZE_MAX, &data, &size), 0);
    if (init_spec_parse(data, size, &spec, &why) < 0)
        fail_msg("caged-init refuses it: %s", why);
    (void)munmap((void *)data, size);
    return spec.n_environment;
}

static void a_small_card_is_taken(void **state)
{
    CLEANUP(card_freep) struct card *card = card_of(CARD_START "}");

    assert_true(variables_taken(card, NULL, NULL) > 0);
    assert_int_equal(variables_taken(card, NULL, "key"), variables_taken(card, NULL, NULL) + 1);
}

/* As many as there may be, with the longest targets. */
static void mounts_are_taken_as_they_are(void **state)
{
    struct workspace mounts[CARD_MOUNTS_MAX],
        workspace = {.path = path, .owner = 1000, .group = 1000};
    char text[CARD_MOUNTS_MAX * (CARD_MOUNT_TARGET_MAX + 64)] = "";
    size_t used = (size_t)snprintf(text, sizeof(text), CARD_START ",\"mounts\":[");

    for (unsigned i = 0; i < CARD_MOUNTS_MAX; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used,
                                 "%s{\"source\":\"/s\",\"target\":\"/data/%0*u\",\"readonly\":%s}",
                                 i > 0 ? "," : "", CARD_MOUNT_TARGET_MAX - 6, i,
                                 i % 2 == 0 ? "true" : "false");
        mounts[i] = (struct workspace){
            .owner = 100 + i, .group = 200 + i, .folder_owner = i, .folder_group = 300 + i};
    }
    (void)snprintf(text + used, sizeof(text) - used, "]}");
    CLEANUP(card_freep) struct card *card = card_of(text);
    const struct agent_spec_input input = {
        .card = card,
        .command = &card->command,
        .workspace = &workspace,
        .mounts = mounts,
        .uid_base = 65536,
    };
    AUTO_FD int fd = agent_spec_new(&input);
    struct init_spec spec;
    const char *why = "";
    const void *data;
    size_t size;

    assert_int_equal(memfd_map_sealed(fd, SPEC_SIZE_MAX, &data, &size), 0);
    if (init_spec_parse(data, size, &spec, &why) < 0)
        fail_msg("caged-init refuses it: %s", why);
    assert_int_equal(spec.n_mounts, CARD_MOUNTS_MAX);
    for (unsigned i = 0; i < CARD_MOUNTS_MAX; i++) {
        const struct init_spec_mount_ids *ids = &spec.mounts[i].ids;
        assert_string_equal(spec.mounts[i].target, card->mounts[i].target);
        assert_int_equal(ids->writable, i % 2);
        assert_true(ids->uid == 100 + i && ids->gid == 200 + i);
        assert_true(ids->folder_uid == i && ids->folder_gid == 300 + i);
    }
    (void)munmap((void *)data, size);
}

static void the_fullest_environment_is_taken(void **state)
{
    CLEANUP(card_freep) struct card *card = card_of(CARD_START "}");
    struct preset preset = {.name = NULL};
    size_t own = variables_taken(card, NULL, "key");

    add_variables(&card->environment, &card->n_environment, "CARD_", CARD_ENVIRONMENT_MAX);
    add_variables(&preset.environment, &preset.n_environment, "PRESET_", CARD_ENVIRONMENT_MAX);
    assert_int_equal(variables_taken(card, &preset, "key"), own + 2 * CARD_ENVIRONMENT_MAX);
    card_variables_free(preset.environment, preset.n_environment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_card_is_taken),
        cmocka_unit_test(mounts_are_taken_as_they_are),
        cmocka_unit_test(the_fullest_environment_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* daemon/agent-spec.c against daemon/init/spec.c: what the daemon writes, caged-init takes, also
 * where the card and the preset are as large as they may be. */
#include "unit-test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/mman.h>

#include "agent-spec.h"
#include "caged-limits.h"
#include "fd-io.h"
#include "init/spec.h"

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
    const struct workspace workspace = {.owner = 1000, .group = 1000};
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
        cmocka_unit_test(the_fullest_environment_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

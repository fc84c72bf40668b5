/* The card's validator: defaults, which fault is told and in which order, hints, what is never
 * told, and the JSON form. The many good and bad cards are in tests/integration/cards. */
#include "unit-test.h"

#include <stdio.h>

#include "caged-limits.h"
#include "card.h"

#define START "{\"agent_id\":\"a\",\"workspace\":\"/w\""

static struct card *accept(const char *text)
{
    struct card *card = NULL;
    struct card_error error = {};
    char shown[1024];

    int r = card_parse_text(text, strlen(text), &card, &error);
    if (r < 0) {
        card_error_format(&error, shown, sizeof(shown));
        print_error("%s\n", shown);
    }
    assert_int_equal(r, 0);
    return card;
}

/* The error in the form in which people read it. */
static const char *refuse(const char *text)
{
    static char shown[1024];
    struct card *card = (struct card *)(void *)shown; /* untouched on failure */
    struct card_error error = {};

    assert_int_equal(card_parse_text(text, strlen(text), &card, &error), -EINVAL);
    assert_ptr_equal(card, shown);
    card_error_format(&error, shown, sizeof(shown));
    return shown;
}

static void test_defaults(void **state)
{
    CLEANUP(card_freep) struct card *card = accept(START "}");

    assert_string_equal(card->agent_id, "a");
    assert_null(card->agent);
    assert_string_equal(card->workspace, "/w");
    assert_null(card->user);
    assert_int_equal(card->command.count, 0);
    assert_int_equal(card->api_provider, API_PROVIDER_ANTHROPIC);
    assert_null(card->api_key_file);
    assert_null(card->proxy);
    assert_int_equal(card->limits.memory_mb, 4096);
    assert_int_equal(card->limits.memory_high_mb, 0);
    assert_int_equal(card->limits.swap_mb, 0);
    assert_int_equal(card->limits.cpu_shares, 1024);
    assert_int_equal(card->limits.cpu_quota_percent, 0);
    assert_int_equal(card->limits.io_weight, 0);
    assert_int_equal(card->limits.io_read_bps, 0);
    assert_int_equal(card->limits.io_write_bps, 0);
    assert_int_equal(card->limits.io_read_iops, 0);
    assert_int_equal(card->limits.io_write_iops, 0);
    assert_int_equal(card->limits.max_processes, 512);
    assert_int_equal(card->limits.max_open_files, 1024);
    assert_int_equal(card->allowed_hosts.count, 0);
    assert_int_equal(card->private_hosts.count, 0);
    assert_int_equal(card->denied_hosts.count, 0);
    assert_false(card->transparent);
    assert_null(card->seccomp_profile);
    assert_int_equal(card->ttl_seconds, 0);
    assert_int_equal(card->n_environment, 0);
}

static void test_values(void **state)
{
    CLEANUP(card_freep)
    struct card *card = accept(
        "{\"$schema\":\"x\",\"agent_id\":\"b-1\",\"agent\":\"codex\",\"workspace\":\"/w/x/"
        "\",\"user\":\"me\","
        "\"command\":[\"sh\",\"-c\",\"\"],\"api_provider\":\"openai\",\"api_key_file\":\"/k\","
        "\"proxy\":\"http://u:p%40@h.example:3128/\",\"resource_limits\":{\"memory_mb\":64,"
        "\"cpu_shares\":2,\"max_processes\":3,\"max_open_files\":16},"
        "\"allowed_hosts\":[\"*.example.com\",\"h\"],\"private_hosts\":[\"h\"],"
        "\"denied_hosts\":[\"x.example.com\",\"10.0.0.0/8:22\"],"
        "\"ttl_seconds\":5,\"transparent\":true,"
        "\"seccomp_profile\":\"strict-2\",\"environment\":{\"A\":\"b=c\",\"B\":\"\"}}");

    assert_string_equal(card->agent_id, "b-1");
    assert_string_equal(card->agent, "codex");
    assert_string_equal(card->workspace, "/w/x");
    assert_string_equal(card->user, "me");
    assert_int_equal(card->command.count, 3);
    assert_string_equal(card->command.items[0], "sh");
    assert_string_equal(card->command.items[2], "");
    assert_int_equal(card->api_provider, API_PROVIDER_OPENAI);
    assert_string_equal(card->api_key_file, "/k");
    assert_string_equal(card->proxy, "http://u:p%40@h.example:3128");
    assert_int_equal(card->limits.memory_mb, 64);
    assert_int_equal(card->limits.cpu_shares, 2);
    assert_int_equal(card->limits.max_processes, 3);
    assert_int_equal(card->limits.max_open_files, 16);
    assert_int_equal(card->allowed_hosts.count, 2);
    assert_string_equal(card->allowed_hosts.items[0], "*.example.com");
    assert_int_equal(card->private_hosts.count, 1);
    assert_int_equal(card->denied_hosts.count, 2);
    assert_string_equal(card->denied_hosts.items[1], "10.0.0.0/8:22");
    assert_int_equal(card->ttl_seconds, 5);
    assert_true(card->transparent);
    assert_string_equal(card->seccomp_profile, "strict-2");
    assert_int_equal(card->n_environment, 2);
    assert_string_equal(card->environment[0].name, "A");
    assert_string_equal(card->environment[0].value, "b=c");
    assert_string_equal(card->environment[1].value, "");
}

static void test_limits(void **state)
{
    CLEANUP(card_freep)
    struct card *card =
        accept(START ",\"resource_limits\":{\"memory_high_mb\":64,\"memory_mb\":64,\"swap_mb\":1,"
                     "\"cpu_quota_percent\":102400,\"io_weight\":10000,\"io_read_bps\":1048576,"
                     "\"io_write_bps\":1099511627776,\"io_read_iops\":100,"
                     "\"io_write_iops\":1000000000}}");

    assert_int_equal(card->limits.memory_high_mb, 64);
    assert_int_equal(card->limits.swap_mb, 1);
    assert_int_equal(card->limits.cpu_quota_percent, 102400);
    assert_int_equal(card->limits.io_weight, 10000);
    assert_int_equal(card->limits.io_read_bps, 1048576);
    assert_int_equal(card->limits.io_write_bps, 1099511627776);
    assert_int_equal(card->limits.io_read_iops, 100);
    assert_int_equal(card->limits.io_write_iops, 1000000000);
}

/* Whichever of the two stands first, and when memory_mb is the default. */
static void test_a_threshold_is_not_above_the_limit(void **state)
{
    const char *fault = "$.resource_limits.memory_high_mb: found the number 65, expected at most "
                        "memory_mb, which is 64";

    assert_string_equal(
        refuse(START ",\"resource_limits\":{\"memory_mb\":64,\"memory_high_mb\":65}}"), fault);
    assert_string_equal(
        refuse(START ",\"resource_limits\":{\"memory_high_mb\":65,\"memory_mb\":64}}"), fault);
    assert_string_equal(refuse(START ",\"resource_limits\":{\"memory_high_mb\":4097}}"),
                        "$.resource_limits.memory_high_mb: found the number 4097, expected at most "
                        "memory_mb, which is 4096");
}

static void test_whole_sentences(void **state)
{
    assert_string_equal(refuse(START ",\"resource_limits\":{\"memory_mb\":\"4G\"}}"),
                        "$.resource_limits.memory_mb: found the string \"4G\", expected an integer "
                        "from 16 to 16777216 (MiB)");
    assert_string_equal(refuse(START ",\"resource_limits\":{\"memory_mb\":4096.0}}"),
                        "$.resource_limits.memory_mb: found the number 4096.0, expected an integer "
                        "from 16 to 16777216 (MiB)");
    assert_string_equal(refuse("{}"), "$.agent_id: found nothing, expected 1 to 63 characters out "
                                      "of a-z, 0-9 and \"-\"");
    assert_string_equal(refuse("[]"), "$: found an array of size 0, expected an object: the card");
    assert_string_equal(
        refuse(START ",\"allowed_hosts\":[\"a\",\"10.1\"]}"),
        "$.allowed_hosts[1]: found the string \"10.1\", expected a host, *.name, IP "
        "address or range, perhaps with :port: an IPv4 address is four decimal "
        "numbers from 0 to 255; octal, hexadecimal and short forms are not "
        "accepted");
    assert_string_equal(refuse(START ",\"proxy\":\"socks5://h:1\"}"),
                        "$.proxy: found a proxy of kind socks5, expected "
                        "\"http://[user[:password]@]host:port\" of 1024 bytes at most; other kinds "
                        "are not supported");
    assert_string_equal(refuse(START ",}"), "$: found the character '}' (line 1, column 34), "
                                            "expected JSON text with each key once and at most 16 "
                                            "levels of nesting");
}

static void assert_hint(const char *key, const char *hint)
{
    char text[256], expected[128] = "";

    (void)snprintf(text, sizeof(text), START ",\"%s\":1}", key);
    const char *shown = refuse(text);
    assert_non_null(strstr(shown, "found an unknown key"));
    if (hint)
        (void)snprintf(expected, sizeof(expected), "did you mean \"%s\"?", hint);
    else
        (void)snprintf(expected, sizeof(expected),
                       "expected one of agent_id, agent, workspace, user");
    assert_non_null(strstr(shown, expected));
}

static void test_unknown_keys_get_a_hint(void **state)
{
    assert_hint("workspac", "workspace");
    assert_hint("workspacex", "workspace");
    assert_hint("xworkspace", "workspace");
    assert_hint("wrokspace", "workspace");
    assert_hint("workspade", "workspace");
    assert_hint("allowed-hosts", "allowed_hosts");
    assert_hint("WorkSpace", "workspace");
    assert_hint("workpsac", NULL);
    assert_hint("cpu", NULL);
    assert_hint("", NULL);
    assert_hint("a", NULL);
}

static void test_the_first_fault_of_the_document_is_told(void **state)
{
    assert_non_null(strstr(refuse("{\"ttl_seconds\":-1,\"agent_id\":\"A\"}"), "$.ttl_seconds:"));
    assert_non_null(strstr(refuse("{\"agent_id\":\"A\",\"ttl_seconds\":-1}"), "$.agent_id:"));
    assert_non_null(strstr(refuse("{\"workspace\":\"/w\",\"x\":1}"), "$.x:"));
    assert_non_null(strstr(refuse("{\"workspace\":\"/w\"}"), "$.agent_id:"));
}

/* Each text has the word "hidden" where a secret stands, or where people put one by mistake. */
static void test_no_secret_in_an_error(void **state)
{
    static const char *const texts[] = {
        START ",\"environment\":{\"A\":[\"hidden\"]}}",
        START ",\"environment\":{\"A\":hidden}}",
        START ",\"environment\":{\"A\":\"hidden\\u0000\"}}",
        START ",\"environment\":{\"A\":\"hidden\n\"}}",
        START ",\"environment\":{\"A\":\"hidden\",\"A\":\"x\"}}",
        START ",\"environment\":{\"1\":\"hidden\"}}",
        START ",\"environment\":{\"AGENT_ID\":\"hidden\"}}",
        START ",\"environment\":\"hidden\"}",
        START ",\"api_key_file\":\"hidden\"}",
        START ",\"api_key_file\":\"/k\",\"environment\":{\"ANTHROPIC_API_KEY\":\"hidden\"}}",
        START ",\"proxy\":\"http://user:hidden@host\"}",
        START ",\"proxy\":\"http://user:hidden@host:1\",\"proxy_auth_file\":\"/p\"}",
        START ",\"proxy\":\"http://host:1\",\"proxy_auth_file\":\"user:hidden\"}",
        START ",\"proxy_auth_file\":\"/hidden\"}",
        START ",\"proxy\":\"https://user:hidden@host:1\"}",
        START ",\"proxy\":\"user:hidden@host:1\"}",
        START ",\"proxy\":\"http://user:hidden@x@host:1\"}",
        START ",\"command\":\"x --key hidden\"}",
        "\"hidden\"",
        "hidden",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_null(strstr(refuse(texts[i]), "hidden"));
    assert_null(strstr(refuse(START ",\"environment\":{\"A\":77001}}"), "77001"));
}

static void test_what_is_shown_is_printable(void **state)
{
    /* an escape, DEL, U+009B (a C1 control) in two forms, then a letter that stays */
    const char *shown = refuse("{\"agent_id\":\"\\u001b[2J\\u007f\\u009b\xc2\x9b\xc3\xa4\"}");
    assert_non_null(strstr(shown, "the string \"?[2J?????\xc3\xa4\""));

    /* a cut never splits a character: 59 bytes and then one of two bytes */
    char text[256];
    (void)snprintf(text, sizeof(text), "{\"agent_id\":\"%059d\xc3\xa4\xc3\xa4\"}", 0);
    shown = refuse(text);
    assert_non_null(strstr(shown, "00...\""));
    assert_null(strchr(shown, '\xc3'));
}

static char *printed(const struct card *card)
{
    json_t *json = card_to_json(card);
    assert_non_null(json);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    assert_non_null(text);
    return text;
}

static void test_json_form(void **state)
{
    CLEANUP(card_freep)
    struct card *card = accept(START ",\"user\":\"7\",\"agent\":\"opencode\",\"proxy\":\"http://"
                                     "user:hidden@h:1\",\"environment\":"
                                     "{\"TOKEN\":\"hidden\"},\"command\":[\"x\"]}");
    AUTO_FREE char *text = printed(card);
    assert_string_equal(
        text, "{\"agent_id\":\"a\",\"agent\":\"opencode\",\"workspace\":\"/"
              "w\",\"user\":\"7\",\"command\":[\"x\"],"
              "\"api_provider\":\"anthropic\",\"proxy\":\"http://***@h:1\",\"resource_limits\":"
              "{\"memory_mb\":4096,\"swap_mb\":0,\"cpu_shares\":1024,\"max_processes\":512,"
              "\"max_open_files\":1024},\"allowed_hosts\":[\"api.anthropic.com:443\"],"
              "\"private_hosts\":[],\"denied_hosts\":[],\"ttl_seconds\":0,"
              "\"seccomp_profile\":\"default\",\"protect\":[\"git\"],"
              "\"environment\":{\"TOKEN\":\"(set)\"}}");

    CLEANUP(card_freep) struct card *again = accept(text);
    AUTO_FREE char *text_again = printed(again);
    assert_string_equal(text, text_again);
}

static void test_providers(void **state)
{
    for (int i = 0; i < API_PROVIDER_COUNT; i++) {
        enum api_provider provider = API_PROVIDER_COUNT;
        assert_int_equal(api_provider_from_string(api_provider_to_string(i), &provider), 0);
        assert_int_equal(provider, i);
        assert_non_null(api_provider_key_variable(i));
        assert_int_equal(api_provider_host(i) == NULL, i == API_PROVIDER_CUSTOM);
    }
    enum api_provider untouched = API_PROVIDER_OLLAMA;
    assert_int_equal(api_provider_from_string("OPENAI", &untouched), -EINVAL);
    assert_int_equal(untouched, API_PROVIDER_OLLAMA);
}

static void test_size(void **state)
{
    AUTO_FREE char *text = malloc(CARD_SIZE_MAX + 2);
    struct card *card = NULL;
    struct card_error error;

    assert_non_null(text);
    memset(text, ' ', CARD_SIZE_MAX + 2);
    memcpy(text, START "}", strlen(START "}"));
    assert_int_equal(card_parse_text(text, CARD_SIZE_MAX, &card, &error), 0);
    card = card_free(card);
    assert_int_equal(card_parse_text(text, CARD_SIZE_MAX + 1, &card, &error), -EINVAL);
    assert_string_equal(error.found, "a text of 65537 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_threshold_is_not_above_the_limit),
        cmocka_unit_test(test_whole_sentences),
        cmocka_unit_test(test_unknown_keys_get_a_hint),
        cmocka_unit_test(test_the_first_fault_of_the_document_is_told),
        cmocka_unit_test(test_no_secret_in_an_error),
        cmocka_unit_test(test_what_is_shown_is_printable),
        cmocka_unit_test(test_json_form),
        cmocka_unit_test(test_providers),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

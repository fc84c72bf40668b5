/* What a rule of the site policy makes of a card: what it refuses and by which key, what is
 * explained, and what is lowered. */
#include "site-policy-of.h"

#include <stdio.h>

#include "caged-limits.h"

#define START "{\"agent_id\":\"a\",\"workspace\":\"/w\""
#define MOUNT(keys) ",\"mounts\":[{\"source\":\"/s\",\"target\":\"/mnt/s\"" keys "}]"

static struct card *card_of(const char *text)
{
    struct card *card = NULL;
    struct card_error error = {};

    if (card_parse_text(text, strlen(text), &card, &error) < 0)
        fail_msg("%s: found %s, expected %s", error.path, error.found, error.expected);
    return card;
}

static const struct {
    const char *rule, *card;
    const char *path, *told; /* NULL: it is within */
} holds[] = {
    {"", START "}", NULL, NULL},
    {",\"max_agents\":0", START "}", "$.max_agents", "found an agent, expected none at all"},
    {",\"max_agents\":1", START "}", NULL, NULL},
    {",\"resource_limits\":{\"memory_mb\":4096}",
     START ",\"resource_limits\":{\"memory_mb\":8192}}", "$.resource_limits.memory_mb",
     "found 8192, expected at most 4096"},
    {",\"resource_limits\":{\"memory_mb\":4096}",
     START ",\"resource_limits\":{\"memory_mb\":4096}}", NULL, NULL},
    {",\"resource_limits\":{\"memory_mb\":64}", START "}", NULL, NULL},
    {",\"resource_limits\":{\"memory_mb\":64}",
     START ",\"resource_limits\":{\"memory_high_mb\":65}}", "$.resource_limits.memory_high_mb",
     "found 65, expected at most memory_mb, which is 64 here"},
    {",\"resource_limits\":{\"memory_high_mb\":64}",
     START ",\"resource_limits\":{\"memory_high_mb\":65}}", "$.resource_limits.memory_high_mb",
     "at most 64"},
    {",\"resource_limits\":{\"swap_mb\":0}", START ",\"resource_limits\":{\"swap_mb\":1}}",
     "$.resource_limits.swap_mb", "found 1, expected at most 0"},
    {",\"resource_limits\":{\"cpu_shares\":512}",
     START ",\"resource_limits\":{\"cpu_shares\":1024}}", "$.resource_limits.cpu_shares",
     "at most 512"},
    {",\"resource_limits\":{\"cpu_quota_percent\":50}",
     START ",\"resource_limits\":{\"cpu_quota_percent\":51}}",
     "$.resource_limits.cpu_quota_percent", "at most 50"},
    {",\"resource_limits\":{\"io_weight\":50}", START ",\"resource_limits\":{\"io_weight\":51}}",
     "$.resource_limits.io_weight", "at most 50"},
    {",\"resource_limits\":{\"io_read_bps\":1048576}",
     START ",\"resource_limits\":{\"io_read_bps\":1048577}}", "$.resource_limits.io_read_bps",
     "at most 1048576"},
    {",\"resource_limits\":{\"io_write_bps\":1048576}",
     START ",\"resource_limits\":{\"io_write_bps\":1048577}}", "$.resource_limits.io_write_bps",
     "at most 1048576"},
    {",\"resource_limits\":{\"io_read_iops\":100}",
     START ",\"resource_limits\":{\"io_read_iops\":101}}", "$.resource_limits.io_read_iops",
     "at most 100"},
    {",\"resource_limits\":{\"io_write_iops\":100}",
     START ",\"resource_limits\":{\"io_write_iops\":101}}", "$.resource_limits.io_write_iops",
     "at most 100"},
    {",\"resource_limits\":{\"max_processes\":10}",
     START ",\"resource_limits\":{\"max_processes\":11}}", "$.resource_limits.max_processes",
     "at most 10"},
    {",\"resource_limits\":{\"max_open_files\":16}",
     START ",\"resource_limits\":{\"max_open_files\":17}}", "$.resource_limits.max_open_files",
     "at most 16"},
    {",\"max_ttl_seconds\":60", START ",\"ttl_seconds\":61}", "$.ttl_seconds",
     "found 61, expected at most 60"},
    {",\"max_ttl_seconds\":60", START ",\"ttl_seconds\":60}", NULL, NULL},
    {",\"max_ttl_seconds\":60", START ",\"ttl_seconds\":0}", NULL, NULL},
    {",\"presets\":[\"codex\"]", START ",\"agent\":\"claude\"}", "$.agent",
     "found the preset \"claude\", expected one of: codex"},
    {",\"presets\":[\"codex\"]", START ",\"agent\":\"codex\"}", NULL, NULL},
    {",\"presets\":[\"codex\"]", START "}", "$.agent", "found the preset \"opencode\""},
    {",\"presets\":[\"opencode\"]", START "}", NULL, NULL},
    {",\"presets\":[]", START ",\"command\":[\"sh\"]}", NULL, NULL},
    {",\"presets\":[]", START ",\"command\":[\"sh\"],\"agent\":\"codex\"}", "$.agent",
     "expected one of: none"},
    {",\"command\":false", START ",\"command\":[\"sh\"]}", "$.command", "expected a preset alone"},
    {",\"command\":false", START ",\"command\":[\"sh\"],\"agent\":\"codex\"}", "$.command",
     "a command of its own"},
    {",\"command\":false", START "}", NULL, NULL},
    {",\"transparent\":false", START ",\"transparent\":true}", "$.transparent", "expected false"},
    {",\"transparent\":false", START ",\"transparent\":false}", NULL, NULL},
    {"", START ",\"seccomp_profile\":\"strict\"}", "$.seccomp_profile",
     "found the seccomp profile \"strict\", expected one of: default"},
    {",\"seccomp_profiles\":[\"strict\"]", START "}", "$.seccomp_profile", "\"default\""},
    {",\"seccomp_profiles\":[\"*\"]", START ",\"seccomp_profile\":\"strict\"}", NULL, NULL},
    {"", START ",\"protect\":[]}", "$.protect", "found none, expected \"git\""},
    {",\"unprotected\":true", START ",\"protect\":[]}", NULL, NULL},
    {"", START ",\"protect\":[\"git\"]}", NULL, NULL},
    {"", START MOUNT("") "}", "$.mounts[0]",
     "found a read-only mount, expected none: mount_roots of the rule is empty"},
    {",\"mount_roots\":[\"/\"]", START MOUNT("") "}", NULL, NULL},
    {",\"mount_roots\":[\"/\"]", START MOUNT(",\"readonly\":false") "}", "$.mounts[0]",
     "found a writable mount, expected none: writable_mount_roots"},
    {",\"writable_mount_roots\":[\"/\"]", START MOUNT(",\"readonly\":false") "}", NULL, NULL},
    {",\"writable_mount_roots\":[\"/\"]", START MOUNT("") "}", "$.mounts[0]", "read-only"},
    {",\"environment\":[\"LC_*\",\"TERM\"]",
     START ",\"environment\":{\"LC_ALL\":\"x\",\"TERM\":"
           "\"x\",\"LC_\":\"x\"}}",
     NULL, NULL},
    {",\"environment\":[\"LC_*\",\"TERM\"]", START ",\"environment\":{\"LC\":\"secret\"}}",
     "$.environment.LC", "found the variable \"LC\", expected one of: LC_*, TERM"},
    {",\"environment\":[\"TERM\"]", START ",\"environment\":{\"TERMINAL\":\"x\"}}",
     "$.environment.TERMINAL", "TERM"},
    {"", START ",\"proxy\":\"http://proxy.example:3128\"}", "$.proxy",
     "found the proxy \"proxy.example:3128\", expected what is within parent_proxies of the rule "
     "(none)"},
    {",\"parent_proxies\":[\"*\"]", START ",\"proxy\":\"http://127.0.0.1:3128\"}", NULL, NULL},
    {",\"parent_proxies\":[\"proxy.example:3128\"]",
     START ",\"proxy\":\"http://me:secret@PROXY.example:3128/\"}", NULL, NULL},
    {",\"parent_proxies\":[\"proxy.example:3128\"]",
     START ",\"proxy\":\"http://me:secret@proxy.example:3129\"}", "$.proxy",
     "found the proxy \"proxy.example:3129\""},
    {",\"parent_proxies\":[\"10.0.0.0/8:3128\"]", START ",\"proxy\":\"http://10.1.2.3:3128\"}",
     NULL, NULL},
    {",\"parent_proxies\":[\"*\"]", START ",\"proxy\":\"http://[::ffff:10.0.0.1]:3128\"}", NULL,
     NULL},
    {",\"parent_proxies\":[\"[::]/0:*\",\"10.0.0.0/8:*\"]",
     START ",\"proxy\":\"http://[::ffff:10.0.0.1]:3128\"}", "$.proxy", "::ffff:10.0.0.1"},
    {",\"parent_proxies\":[\"*\"]", START ",\"proxy\":\"http://169.254.169.254:80\"}", "$.proxy",
     "169.254.169.254"},
    {",\"parent_proxies\":[\"*:80\"]", START ",\"proxy\":\"http://[fd00:ec2::254]:80\"}", "$.proxy",
     "fd00:ec2::254"},
    {",\"parent_proxies\":[\"*\"]", START ",\"proxy\":\"http://[::ffff:169.254.169.254]:80\"}",
     "$.proxy", "169.254.169.254"},
    {",\"parent_proxies\":[\"*\",\"169.254.169.254:80\"]",
     START ",\"proxy\":\"http://169.254.169.254:80\"}", NULL, NULL},
    {",\"parent_proxies\":[\"0.0.0.0/0:80\"]", START ",\"proxy\":\"http://169.254.169.254:80\"}",
     "$.proxy", "169.254.169.254"},
    {",\"allowed_hosts\":[\"*.example.com:443\"]",
     START ",\"allowed_hosts\":[\"a.example.com:443\","
           "\"*.b.example.com:443\"]}",
     NULL, NULL},
    {",\"allowed_hosts\":[\"*.example.com:443\"]",
     START ",\"allowed_hosts\":[\"a.example.com:443\",\"a.example.com\"]}", "$.allowed_hosts[1]",
     "found the entry \"a.example.com\", which is ports 80 and 443, expected what is within "
     "allowed_hosts of the rule "
     "(*.example.com:443)"},
    {",\"allowed_hosts\":[\"www.example.com\"]", START ",\"allowed_hosts\":[\"*.example.com\"]}",
     "$.allowed_hosts[0]", "\"*.example.com\""},
    {",\"allowed_hosts\":[\"api.openai.com:443\"]", START "}", "$.allowed_hosts",
     "found the entry \"api.anthropic.com:443\""},
    {",\"allowed_hosts\":[]", START ",\"api_provider\":\"custom\"}", NULL, NULL},
    {",\"allowed_hosts\":[\"*\"]", START ",\"allowed_hosts\":[\"a.example;sni=any\"]}",
     "$.allowed_hosts[0]", "a.example;sni=any"},
    {"", START ",\"allowed_hosts\":[\"a.example;sni=any\",\"0.0.0.0/0:*\",\"[::]/0\"]}", NULL,
     NULL},
    {"", START ",\"allowed_hosts\":[\"localhost:80\"]}", "$.allowed_hosts[0]",
     "found the private entry \"localhost:80\", expected what is within private_hosts of the rule "
     "(none)"},
    {"", START ",\"allowed_hosts\":[\"LOCALHOST.:80\"]}", "$.allowed_hosts[0]", "private"},
    {"", START ",\"allowed_hosts\":[\"169.254.169.254\"]}", "$.allowed_hosts[0]", "private"},
    {"", START ",\"allowed_hosts\":[\"[::]/96\"]}", "$.allowed_hosts[0]", "private"},
    {",\"private_hosts\":[\"10.0.0.0/8:*\"]", START ",\"allowed_hosts\":[\"10.1.0.0/16:22\"]}",
     NULL, NULL},
    {",\"private_hosts\":[\"10.0.0.0/8\"]", START ",\"allowed_hosts\":[\"10.1.0.0/16:22\"]}",
     "$.allowed_hosts[0]", "(10.0.0.0/8)"},
    {",\"private_hosts\":[\"169.254.0.0/16:*\",\"fc00::/7:*\"]",
     START ",\"allowed_hosts\":[\"169.254.1.1\",\"[fd00::1]\"]}", NULL, NULL},
    {",\"private_hosts\":[\"169.254.0.0/16:*\"]", START ",\"allowed_hosts\":[\"169.254.169.254\"]}",
     "$.allowed_hosts[0]", "169.254.169.254"},
    {",\"private_hosts\":[\"*\"]", START ",\"allowed_hosts\":[\"169.254.169.254\"]}",
     "$.allowed_hosts[0]",
     "found the private entry \"169.254.169.254\", cloud metadata, which \"*\" does "
     "not cover, expected what is within private_hosts of the rule (*)"},
    {",\"private_hosts\":[\"*\"]", START ",\"allowed_hosts\":[\"[2002:a9fe:a9fe::1]\"]}",
     "$.allowed_hosts[0]", "2002:a9fe:a9fe::1"},
    {",\"private_hosts\":[\"*\",\"169.254.169.254:80\"]",
     START ",\"allowed_hosts\":[\"169.254.169.254:80\",\"10.0.0.1\"]}", NULL, NULL},
    {",\"private_hosts\":[\"db.example:*\"]", START ",\"private_hosts\":[\"db.example\"]}", NULL,
     NULL},
    {",\"private_hosts\":[\"db.example:5432\"]", START ",\"private_hosts\":[\"db.example\"]}",
     "$.private_hosts[0]", "found every port of \"db.example\""},
    {"", START ",\"private_hosts\":[\"a.example\"]}", "$.private_hosts[0]", "private_hosts"},
    {",\"allowed_hosts\":[]", START ",\"api_provider\":\"custom\",\"denied_hosts\":[\"10.0.0.1\"]}",
     NULL, NULL},
};

static bool is_same_card(const struct card *a, const struct card *b)
{
    json_t *a_json = card_to_json(a), *b_json = card_to_json(b);
    bool same = json_equal(a_json, b_json);

    json_decref(a_json);
    json_decref(b_json);
    return same;
}

static void test_a_card_is_held_against_a_rule(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(holds); i++) {
        char text[1024], told[600];
        struct card_error error = {};

        (void)snprintf(text, sizeof(text), RULE("%s"), holds[i].rule);
        CLEANUP(site_policy_freep) struct site_policy *policy = policy_of(text);
        CLEANUP(card_freep) struct card *card = card_of(holds[i].card);
        CLEANUP(card_freep) struct card *before = card_of(holds[i].card);
        int r = policy_rule_hold(policy->rules, card, &error);
        (void)snprintf(told, sizeof(told), "found %s, expected %s", error.found, error.expected);
        if (r != (holds[i].path ? -EPERM : 0) ||
            (r < 0 && (!streq(error.path, holds[i].path) || !strstr(told, holds[i].told))))
            fail_msg("%s against %s: %d: %s: %s", holds[i].card, holds[i].rule, r, error.path,
                     told);
        assert_null(strstr(told, "secret"));
        if (r < 0)
            assert_true(is_same_card(card, before));
        assert_int_equal(policy_rule_hold(site_policy_root_rule(), before, &error), 0);
    }
}

/* What is asked of descriptors or counted, and so refuses no card here. */
static bool is_asked_elsewhere(const char *key)
{
    static const char *const keys[] = {"spawns_per_minute", "total.memory_mb",
                                       "total.max_processes", "workspace"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (streq(keys[i], key))
            return true;
    return false;
}

/* Every rule with every card: refused exactly if some row says so, with the first such reason; and
 * each row has something that it refuses. */
static void test_what_is_explained_is_what_is_done(void **state)
{
    json_t *refused = json_object(), *all = json_object();
    const char *key;
    json_t *value;

    for (size_t i = 0; i < ARRAY_SIZE(holds) * ARRAY_SIZE(holds); i++) {
        char text[1024], told[600];
        struct card_error error = {};
        const json_t *row, *bad = NULL;
        size_t index;

        (void)snprintf(text, sizeof(text), RULE("%s"), holds[i / ARRAY_SIZE(holds)].rule);
        CLEANUP(site_policy_freep) struct site_policy *policy = policy_of(text);
        CLEANUP(card_freep) struct card *card = card_of(holds[i % ARRAY_SIZE(holds)].card);
        json_t *rows = policy_rule_explain(policy->rules, card);
        assert_non_null(rows);
        json_array_foreach (rows, index, row) {
            bool ok = json_is_true(json_object_get(row, "ok"));
            assert_int_equal(ok, json_object_get(row, "reason") == NULL);
            key = json_string_value(json_object_get(row, "key"));
            (void)json_object_set_new(ok ? all : refused, key, json_true());
            bad = bad || ok ? bad : row;
        }
        int r = policy_rule_hold(policy->rules, card, &error);
        assert_int_equal(r, bad ? -EPERM : 0);
        if (bad) {
            (void)snprintf(told, sizeof(told), "found %s, expected %s", error.found,
                           error.expected);
            assert_string_equal(json_string_value(json_object_get(bad, "reason")), told);
        }
        json_decref(rows);
    }
    json_object_foreach (all, key, value)
        if (!json_object_get(refused, key) != is_asked_elsewhere(key))
            fail_msg("%s", key);
    json_decref(refused);
    json_decref(all);
}

static void test_what_a_card_leaves_open_is_lowered(void **state)
{
    CLEANUP(site_policy_freep)
    struct site_policy *policy = policy_of(RULE(
        ",\"resource_limits\":{\"memory_mb\":1024,\"memory_high_mb\":512,\"swap_mb\":5,"
        "\"cpu_shares\":100,\"cpu_quota_percent\":150,\"io_weight\":50,\"io_read_bps\":2000000,"
        "\"io_write_bps\":2000001,\"io_read_iops\":200,\"io_write_iops\":201,\"max_processes\":"
        "40,\"max_open_files\":30},\"max_ttl_seconds\":77"));
    CLEANUP(card_freep) struct card *card = card_of(START "}");
    struct card_error error;

    assert_int_equal(policy_rule_hold(policy->rules, card, &error), 0);
    assert_int_equal(card->limits.memory_mb, 1024);
    assert_int_equal(card->limits.memory_high_mb, 512);
    assert_int_equal(card->limits.swap_mb, 0);
    assert_int_equal(card->limits.cpu_shares, 100);
    assert_int_equal(card->limits.cpu_quota_percent, 150);
    assert_int_equal(card->limits.io_weight, 50);
    assert_int_equal(card->limits.io_read_bps, 2000000);
    assert_int_equal(card->limits.io_write_bps, 2000001);
    assert_int_equal(card->limits.io_read_iops, 200);
    assert_int_equal(card->limits.io_write_iops, 201);
    assert_int_equal(card->limits.max_processes, 40);
    assert_int_equal(card->limits.max_open_files, 30);
    assert_int_equal(card->ttl_seconds, 77);
}

static void test_what_is_within_stays_as_it_is(void **state)
{
    CLEANUP(site_policy_freep)
    struct site_policy *policy =
        policy_of(RULE(",\"resource_limits\":{\"memory_mb\":8192,\"memory_high_mb\":4096,"
                       "\"cpu_shares\":2000,\"io_weight\":100,\"max_processes\":600}"));
    CLEANUP(card_freep) struct card *card = card_of(START "}");
    CLEANUP(card_freep) struct card *before = card_of(START "}");
    struct card_error error;

    assert_int_equal(policy_rule_hold(policy->rules, card, &error), 0);
    assert_true(is_same_card(card, before));
}

static void test_the_preset_of_a_commands_program_counts_where_there_is_one(void **state)
{
    CLEANUP(site_policy_freep) struct site_policy *policy = policy_of(RULE(",\"presets\":[\"a\"]"));
    CLEANUP(card_freep) struct card *card = card_of(START ",\"command\":[\"/opt/claude\"]}");
    CLEANUP(card_freep) struct card *named = card_of(START ",\"agent\":\"a\",\"command\":[\"b\"]}");
    CLEANUP(card_freep) struct card *odd = card_of(START ",\"command\":[\"/opt/Claude\"]}");
    struct card_error error;

    assert_string_equal(card_command_preset(card), "claude");
    assert_null(card_preset(card));
    assert_int_equal(policy_rule_hold(policy->rules, card, &error), 0);
    card->command_has_preset = true;
    assert_string_equal(card_preset(card), "claude");
    assert_int_equal(policy_rule_hold(policy->rules, card, &error), -EPERM);
    assert_string_equal(error.path, "$.command");
    assert_string_equal(error.found, "by its program the preset \"claude\"");
    named->command_has_preset = true;
    assert_string_equal(card_preset(named), "a");
    assert_int_equal(policy_rule_hold(policy->rules, named, &error), 0);
    assert_null(card_command_preset(odd));
}

static void test_an_entry_for_a_running_agent(void **state)
{
    CLEANUP(site_policy_freep)
    struct site_policy *policy = policy_of(
        RULE(",\"allowed_hosts\":[\"*.example.com\"],\"private_hosts\":[\"localhost:11434\"]"));
    const struct policy_rule *rule = policy->rules;
    struct card_error error;

    assert_int_equal(policy_rule_hold_host(rule, "a.example.com:443", &error), 0);
    assert_int_equal(policy_rule_hold_host(rule, "localhost:11434", &error), 0);
    assert_int_equal(policy_rule_hold_host(rule, "a.example.org", &error), -EPERM);
    assert_string_equal(error.found, "the entry \"a.example.org\", which is ports 80 and 443");
    assert_string_equal(error.expected, "what is within allowed_hosts of the rule (*.example.com)");
    assert_int_equal(policy_rule_hold_host(rule, "127.0.0.1:11434", &error), -EPERM);
    assert_string_equal(error.found, "the private entry \"127.0.0.1:11434\"");
    assert_non_null(strstr(error.expected, "private_hosts"));
    assert_int_equal(policy_rule_hold_host(rule, "a/b", &error), -EINVAL);
    assert_non_null(strstr(error.expected, "slash"));
    assert_int_equal(policy_rule_hold_host(rule, "*", &error), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_card_is_held_against_a_rule),
        cmocka_unit_test(test_what_is_explained_is_what_is_done),
        cmocka_unit_test(test_what_a_card_leaves_open_is_lowered),
        cmocka_unit_test(test_what_is_within_stays_as_it_is),
        cmocka_unit_test(test_the_preset_of_a_commands_program_counts_where_there_is_one),
        cmocka_unit_test(test_an_entry_for_a_running_agent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

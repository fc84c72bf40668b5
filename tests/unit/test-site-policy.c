/* The site policy: what is none and where, what a key means that is left out, whose rule is which,
 * and what a rule makes of a card. The many good and bad policies are in
 * tests/integration/policies.
 */
#include "unit-test.h"

#include <stdio.h>

#include "caged-limits.h"
#include "site-policy.h"

#define START "{\"agent_id\":\"a\",\"workspace\":\"/w\""
#define RULE(keys) "{\"rules\":[{\"users\":[\"*\"]" keys "}]}"

#define MOUNT(keys) ",\"mounts\":[{\"source\":\"/s\",\"target\":\"/mnt/s\"" keys "}]"

static struct site_policy *policy_of(const char *text)
{
    struct site_policy *policy = NULL;
    struct policy_error error = {};

    if (site_policy_parse_text(text, strlen(text), &policy, &error) < 0)
        fail_msg("%s: found %s, expected %s", error.at.path, error.at.found, error.at.expected);
    assert_int_equal(site_policy_resolve(policy, NULL, NULL), 0);
    return policy;
}

static struct card *card_of(const char *text)
{
    struct card *card = NULL;
    struct card_error error = {};

    if (card_parse_text(text, strlen(text), &card, &error) < 0)
        fail_msg("%s: found %s, expected %s", error.path, error.found, error.expected);
    return card;
}

/* -- parsing -- */

static void test_what_is_left_out(void **state)
{
    CLEANUP(site_policy_freep) struct site_policy *policy = policy_of(RULE(""));
    const struct policy_rule *rule = policy->rules;

    assert_int_equal(policy->n_rules, 1);
    assert_string_equal(rule->name, "rule 1");
    assert_int_equal(rule->max_agents, AGENTS_PER_UID_MAX);
    assert_int_equal(rule->spawns_per_minute, 0);
    for (size_t i = 0; i < CARD_LIMIT_COUNT; i++) {
        struct card_limits limits = rule->limits;
        assert_true(*card_limit(&limits, (enum card_limit)i) == UINT64_MAX);
    }
    assert_int_equal(rule->total.memory_mb, 0);
    assert_int_equal(rule->total.memory_percent, 0);
    assert_int_equal(rule->total.max_processes, 0);
    assert_int_equal(rule->max_ttl_seconds, 0);
    assert_int_equal(rule->workspace_roots.count, 1);
    assert_string_equal(rule->workspace_roots.items[0], "/");
    assert_int_equal(rule->mount_roots.count, 0);
    assert_int_equal(rule->writable_mount_roots.count, 0);
    assert_int_equal(rule->excluded_file_systems.count, 0);
    assert_int_equal(rule->allowed_hosts.texts.count, 1);
    assert_string_equal(rule->allowed_hosts.texts.items[0], "*;sni=any");
    assert_int_equal(rule->private_hosts.texts.count, 0);
    assert_int_equal(rule->parent_proxies.texts.count, 0);
    assert_string_equal(rule->environment.items[0], "*");
    assert_string_equal(rule->presets.items[0], "*");
    assert_int_equal(rule->seccomp_profiles.count, 1);
    assert_string_equal(rule->seccomp_profiles.items[0], "default");
    assert_true(rule->command);
    assert_true(rule->transparent);
    assert_false(rule->unprotected);
    assert_false(rule->namespaced_peers);
    assert_int_equal(rule->n_access, 0);
}

static void test_values(void **state)
{
    CLEANUP(site_policy_freep)
    struct site_policy *policy = policy_of(
        "{\"$schema\":\"x\",\"rules\":[{\"name\":\"developers\",\"users\":[\"4711\"],\"groups\":"
        "[\"4712\",\"4713\"],\"max_agents\":0,\"spawns_per_minute\":7,\"resource_limits\":"
        "{\"memory_mb\":16,\"max_open_files\":17,\"swap_mb\":0},\"total\":{\"memory_percent\":50,"
        "\"max_processes\":9},\"max_ttl_seconds\":60,\"workspace_roots\":[\"/home/\",\"/srv/w\"],"
        "\"mount_roots\":[\"/usr/share\"],\"writable_mount_roots\":[\"/srv/cache\"],"
        "\"excluded_file_systems\":[\"nfs4\",\"fuse.sshfs\"],\"allowed_hosts\":[\"*:443\"],"
        "\"private_hosts\":[\"10.0.0.0/8:*\"],\"parent_proxies\":[\"proxy.example:3128\"],"
        "\"environment\":[\"LC_*\",\"TERM\"],\"presets\":[\"codex\"],\"seccomp_profiles\":[\"x\"],"
        "\"command\":false,\"transparent\":false,\"unprotected\":true,\"namespaced_peers\":true,"
        "\"access\":[{\"groups\":[\"4714\"],\"may\":[\"stop\"]}]}]}");
    const struct policy_rule *rule = policy->rules;

    assert_string_equal(rule->name, "developers");
    assert_int_equal(rule->who.n_uids, 1);
    assert_int_equal(rule->who.uids[0], 4711);
    assert_int_equal(rule->who.n_gids, 2);
    assert_int_equal(rule->who.gids[1], 4713);
    assert_int_equal(rule->max_agents, 0);
    assert_int_equal(rule->spawns_per_minute, 7);
    assert_int_equal(rule->limits.memory_mb, 16);
    assert_int_equal(rule->limits.max_open_files, 17);
    assert_int_equal(rule->limits.swap_mb, 0);
    assert_true(rule->limits.max_processes == UINT64_MAX);
    assert_int_equal(rule->total.memory_percent, 50);
    assert_int_equal(rule->total.max_processes, 9);
    assert_int_equal(rule->max_ttl_seconds, 60);
    assert_int_equal(rule->workspace_roots.count, 2);
    assert_string_equal(rule->workspace_roots.items[0], "/home");
    assert_string_equal(rule->mount_roots.items[0], "/usr/share");
    assert_string_equal(rule->writable_mount_roots.items[0], "/srv/cache");
    assert_string_equal(rule->excluded_file_systems.items[1], "fuse.sshfs");
    assert_string_equal(rule->parent_proxies.texts.items[0], "proxy.example:3128");
    assert_int_equal(rule->environment.count, 2);
    assert_false(rule->command);
    assert_false(rule->transparent);
    assert_true(rule->unprotected);
    assert_true(rule->namespaced_peers);
    assert_int_equal(rule->n_access, 1);
    assert_int_equal(rule->access[0].rights, 1u << POLICY_SEE | 1u << POLICY_STOP);
}

static void test_what_is_no_policy(void **state)
{
    static const struct {
        const char *text, *path, *told;
    } bad[] = {
        {"[]", "$", "found an array of size 0, expected an object: the policy"},
        {"{}", "$.rules", "found nothing"},
        {"{\"rule\":[]}", "$.rule", "a key of the policy: did you mean \"rules\"?"},
        {"{\"rules\":[[]]}", "$.rules[0]", "an object: a rule"},
        {"{\"rules\":[{}]}", "$.rules[0]", "found nobody whom it is for"},
        {"{\"rules\":[{\"users\":[]}]}", "$.rules[0].users", "an array of 1 to 256 users"},
        {"{\"rules\":[{\"groups\":[\"*\"]}]}", "$.rules[0].groups[0]", "\"*\" among users"},
        {"{\"rules\":[{\"users\":[\"dev*\"]}]}", "$.rules[0].users[0]", "no name has"},
        {"{\"rules\":[{\"users\":[\"007\"]}]}", "$.rules[0].users[0]", "without zeros"},
        {"{\"rules\":[{\"users\":[\"4294967295\"]}]}", "$.rules[0].users[0]", "4294967294"},
        {"{\"rules\":[{\"users\":[\"18446744073709551616\"]}]}", "$.rules[0].users[0]", "number"},
        {"{\"rules\":[{\"users\":[\"a\",\"a\"]}]}", "$.rules[0].users[1]", "each entry once"},
        {RULE(",\"max_agent\":1"), "$.rules[0].max_agent", "did you mean \"max_agents\"?"},
        {RULE(",\"max_agents\":1025"), "$.rules[0].max_agents", "an integer from 0 to 1024"},
        {RULE(",\"max_agents\":-1"), "$.rules[0].max_agents", "the number -1"},
        {RULE(",\"spawns_per_minute\":0"), "$.rules[0].spawns_per_minute", "from 1 to"},
        {RULE(",\"resource_limits\":{\"memory\":1}"), "$.rules[0].resource_limits.memory",
         "one of memory_mb, "},
        {RULE(",\"resource_limits\":{\"memory_mb\":15}"), "$.rules[0].resource_limits.memory_mb",
         "an integer from 16"},
        {RULE(",\"total\":{\"memory_percent\":101}"), "$.rules[0].total.memory_percent",
         "from 1 to 100"},
        {RULE(",\"total\":{\"memory_percent\":0}"), "$.rules[0].total.memory_percent",
         "from 1 to 100"},
        {RULE(",\"total\":{\"memory_percent\":10,\"memory_mb\":64}"), "$.rules[0].total",
         "one of the two"},
        {RULE(",\"max_ttl_seconds\":0"), "$.rules[0].max_ttl_seconds", "from 1 to"},
        {RULE(",\"workspace_roots\":[\"home\"]"), "$.rules[0].workspace_roots[0]", "not absolute"},
        {RULE(",\"workspace_roots\":[\"/a\",\"/b/../c\"]"), "$.rules[0].workspace_roots[1]",
         "\"..\""},
        {RULE(",\"excluded_file_systems\":[\"a b\"]"), "$.rules[0].excluded_file_systems[0]",
         "other characters"},
        {RULE(",\"allowed_hosts\":[\"**\"]"), "$.rules[0].allowed_hosts[0]", "can only stand"},
        {RULE(",\"allowed_hosts\":[\"*443\"]"), "$.rules[0].allowed_hosts[0]", "can only stand"},
        {RULE(",\"allowed_hosts\":[\"*:0\"]"), "$.rules[0].allowed_hosts[0]", "the port is not"},
        {RULE(",\"environment\":[\"A*B\"]"), "$.rules[0].environment[0]", "at its end"},
        {RULE(",\"environment\":[\"1\"]"), "$.rules[0].environment[0]", "with a digit"},
        {RULE(",\"presets\":[\"Codex\"]"), "$.rules[0].presets[0]", "a-z"},
        {RULE(",\"command\":1"), "$.rules[0].command", "true or false"},
        {RULE(",\"name\":\"a\\u001b\""), "$.rules[0].name", "letters, digits"},
        {RULE(",\"name\":\" a\""), "$.rules[0].name", "letters, digits"},
        {"{\"rules\":[{\"users\":[\"a\"]},{\"users\":[\"b\"],\"name\":\"rule 1\"}]}",
         "$.rules[1].name", "that of rule 1 is the same"},
        {RULE(",\"access\":[{\"may\":[\"see\"]}]"), "$.rules[0].access[0]", "nobody"},
        {RULE(",\"access\":[{\"users\":[\"a\"]}]"), "$.rules[0].access[0].may", "nothing"},
        {RULE(",\"access\":[{\"users\":[\"a\"],\"may\":[]}]"), "$.rules[0].access[0].may",
         "size 0"},
        {RULE(",\"access\":[{\"users\":[\"a\"],\"may\":[\"attach\"]}]"),
         "$.rules[0].access[0].may[0]", "no other right"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct site_policy *policy = (struct site_policy *)(void *)bad; /* untouched on failure */
        struct policy_error error = {};
        char told[600];

        int r = site_policy_parse_text(bad[i].text, strlen(bad[i].text), &policy, &error);
        (void)snprintf(told, sizeof(told), "found %s, expected %s", error.at.found,
                       error.at.expected);
        if (r != -EINVAL || !streq(error.at.path, bad[i].path) || !strstr(told, bad[i].told))
            fail_msg("%s: %s: %s", bad[i].text, error.at.path, told);
        assert_ptr_equal(policy, bad);
        assert_int_equal(error.line, 1);
    }
}

static void test_text_that_is_no_json_has_a_place(void **state)
{
    static const char text[] = "{\"rules\": [\n  {\"users\": [\"a\"] \"groups\": [\"b\"]}\n]}\n";
    struct site_policy *policy = NULL;
    struct policy_error error = {};

    assert_int_equal(site_policy_parse_text(text, strlen(text), &policy, &error), -EINVAL);
    assert_string_equal(error.at.path, "$.rules[0].users");
    assert_string_equal(error.at.found, "a string out of place");
    assert_int_equal(error.line, 2);
    assert_int_equal(error.column, 19);
}

static void test_a_fault_has_a_place_in_the_text(void **state)
{
    static const struct {
        const char *text, *path;
        int line, column;
    } rows[] = {
        {"\n [\n]", "$", 2, 2},
        {"\n{ }", "$.rules", 2, 1},
        {"{\n \"rules\": {}}", "$.rules", 2, 2},
        {"{\"rules\": [\n{\"users\": [\"a\"]},\n  {\"max_agents\": 1}]}", "$.rules[1]", 3, 3},
        {"{\"rules\": [\n{\"users\": [\"a\"],\n  \"max_agents\" : -1}]}", "$.rules[0].max_agents",
         3, 3},
        {"{\"rules\": [\n{\"users\": [\"a\", \n\"b\",\n   \"\"]}]}", "$.rules[0].users[2]", 4, 4},
        {"{\"rules\": [\n{\"users\": [ \"*x\"]}]}", "$.rules[0].users[0]", 2, 13},
        {"{\"rules\":[{\"users\":[\"a\"],\n\"access\":[{\"users\":[\"b\"]}]}]}",
         "$.rules[0].access[0].may", 2, 11},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct site_policy *policy = NULL;
        struct policy_error error = {};
        size_t size = strlen(rows[i].text);
        assert_int_equal(site_policy_parse_text(rows[i].text, size, &policy, &error), -EINVAL);
        assert_string_equal(error.at.path, rows[i].path);
        if (error.line != rows[i].line || error.column != rows[i].column)
            fail_msg("%s: %d:%d", rows[i].text, error.line, error.column);
    }
}

static void test_a_policy_is_bounded(void **state)
{
    AUTO_FREE char *text = malloc(POLICY_SIZE_MAX + 2);
    struct site_policy *policy = NULL;
    struct policy_error error = {};

    assert_non_null(text);
    memset(text, ' ', POLICY_SIZE_MAX + 1);
    memcpy(text, "{\"rules\":[]}", strlen("{\"rules\":[]}"));
    assert_int_equal(site_policy_parse_text(text, POLICY_SIZE_MAX, &policy, &error), 0);
    policy = site_policy_free(policy);
    assert_int_equal(site_policy_parse_text(text, POLICY_SIZE_MAX + 1, &policy, &error), -EINVAL);
    assert_string_equal(error.at.expected, "at most 262144 bytes");

    char *end = stpcpy(text, "{\"rules\":[");
    for (size_t i = 0; i <= POLICY_RULES_MAX; i++)
        end = stpcpy(end, i > 0 ? ",{\"users\":[\"*\"]}" : "{\"users\":[\"*\"]}");
    (void)stpcpy(end, "]}");
    assert_int_equal(site_policy_parse_text(text, strlen(text), &policy, &error), -EINVAL);
    assert_string_equal(error.at.path, "$.rules");
    assert_string_equal(error.at.expected, "an array of at most 256 rules");
}

/* -- whose rule -- */

static const char *found(const struct site_policy *policy, uid_t uid, gid_t gid, gid_t group)
{
    const struct policy_subject subject = {uid, gid, &group, 1};
    const struct policy_rule *rule = site_policy_find(policy, &subject);

    return rule ? rule->name : "none";
}

static void test_the_first_rule_that_matches_holds(void **state)
{
    CLEANUP(site_policy_freep)
    struct site_policy *policy =
        policy_of("{\"rules\":[{\"name\":\"one\",\"users\":[\"11\"]},{\"name\":\"few\",\"users\":"
                  "[\"12\",\"11\"],\"groups\":[\"21\",\"0\"]},{\"name\":\"rest\",\"groups\":"
                  "[\"22\"]}]}");

    assert_string_equal(found(policy, 11, 21, 22), "one");
    assert_string_equal(found(policy, 12, 99, 98), "few");
    assert_string_equal(found(policy, 13, 21, 98), "few");
    assert_string_equal(found(policy, 13, 99, 21), "few");
    assert_string_equal(found(policy, 13, 99, 0), "few");
    assert_string_equal(found(policy, 13, 99, 22), "rest");
    assert_string_equal(found(policy, 21, 99, 98), "none");
    assert_string_equal(found(policy, 0, 0, 21), "root");
    assert_string_equal(found(NULL, 11, 21, 22), "none");
    assert_string_equal(found(NULL, 0, 0, 0), "root");
}

static void test_everybody_is_not_root(void **state)
{
    CLEANUP(site_policy_freep) struct site_policy *policy = policy_of(RULE(",\"groups\":[\"0\"]"));
    CLEANUP(site_policy_freep)
    struct site_policy *named = policy_of(
        "{\"rules\":[{\"name\":\"all\",\"users\":[\"*\"]},{\"name\":\"of root\",\"users\":"
        "[\"root\"]}]}");

    assert_string_equal(found(policy, 13, 99, 98), "rule 1");
    assert_ptr_equal(site_policy_find(policy, &(struct policy_subject){}), site_policy_root_rule());
    assert_string_equal(found(named, 0, 0, 0), "of root");
    assert_string_equal(found(named, 13, 0, 0), "all");
}

struct told {
    size_t n;
    char text[200];
};

static void note(void *user, const char *rule, const char *what, const char *name)
{
    struct told *told = user;

    told->n++;
    (void)snprintf(told->text, sizeof(told->text), "%s: %s %s", rule, what, name);
}

static void test_names_become_numbers(void **state)
{
    static const char text[] = "{\"rules\":[{\"users\":[\"root\",\"no-such-user-here\"],\"groups\":"
                               "[\"root\"],\"access\":[{\"groups\":[\"no-such-group-here\"],"
                               "\"may\":[\"see\"]}]}]}";
    struct site_policy *policy = NULL;
    struct policy_error error;
    struct told told = {};

    assert_int_equal(site_policy_parse_text(text, strlen(text), &policy, &error), 0);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(site_policy_resolve(policy, note, &told), 0);
        assert_int_equal(policy->rules[0].who.n_uids, 1);
        assert_int_equal(policy->rules[0].who.uids[0], 0);
        assert_int_equal(policy->rules[0].who.n_gids, 1);
        assert_int_equal(policy->rules[0].access[0].who.n_gids, 0);
    }
    assert_int_equal(told.n, 4);
    assert_string_equal(told.text, "rule 1: group no-such-group-here");
    assert_string_equal(found(policy, 13, 99, 0), "rule 1");
    assert_string_equal(found(policy, 13, 99, 98), "none");
    site_policy_free(policy);
}

static void test_a_policy_without_numbers_is_nobodys(void **state)
{
    static const char text[] = "{\"rules\":[{\"users\":[\"0\"],\"groups\":[\"0\"]}]}";
    struct site_policy *policy = NULL;
    struct policy_error error;

    assert_int_equal(site_policy_parse_text(text, strlen(text), &policy, &error), 0);
    assert_string_equal(found(policy, 13, 0, 0), "none");
    site_policy_free(policy);
}

static void test_rights_of_others(void **state)
{
    CLEANUP(site_policy_freep)
    struct site_policy *policy =
        policy_of(RULE(",\"access\":[{\"users\":[\"11\"],\"may\":[\"see\"]},{\"groups\":[\"21\"],"
                       "\"may\":[\"stop\"]},{\"users\":[\"12\"],\"may\":[\"change\"]}]"));
    static const struct {
        uid_t uid;
        gid_t gid;
        bool see, stop, change;
    } rows[] = {
        {11, 99, true, false, false}, {13, 21, true, true, false},   {12, 99, true, false, true},
        {11, 21, true, true, false},  {13, 99, false, false, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct policy_subject subject = {.uid = rows[i].uid, .gid = rows[i].gid};
        const struct policy_rule *rule = policy->rules;
        assert_int_equal(policy_rule_grants(rule, &subject, POLICY_SEE), rows[i].see);
        assert_int_equal(policy_rule_grants(rule, &subject, POLICY_STOP), rows[i].stop);
        assert_int_equal(policy_rule_grants(rule, &subject, POLICY_CHANGE), rows[i].change);
        assert_false(policy_rule_grants(NULL, &subject, POLICY_SEE));
    }
}

static void test_rights_have_names(void **state)
{
    enum policy_right right;

    for (int i = 0; i < POLICY_RIGHT_COUNT; i++) {
        assert_int_equal(policy_right_from_string(policy_right_to_string(i), &right), 0);
        assert_int_equal(right, i);
    }
    assert_int_equal(policy_right_from_string("attach", &right), -EINVAL);
}

/* -- a card held against a rule -- */

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
     "$.allowed_hosts[0]", "169.254.169.254"},
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
        cmocka_unit_test(test_what_is_left_out),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_is_no_policy),
        cmocka_unit_test(test_text_that_is_no_json_has_a_place),
        cmocka_unit_test(test_a_fault_has_a_place_in_the_text),
        cmocka_unit_test(test_a_policy_is_bounded),
        cmocka_unit_test(test_the_first_rule_that_matches_holds),
        cmocka_unit_test(test_everybody_is_not_root),
        cmocka_unit_test(test_names_become_numbers),
        cmocka_unit_test(test_a_policy_without_numbers_is_nobodys),
        cmocka_unit_test(test_rights_of_others),
        cmocka_unit_test(test_rights_have_names),
        cmocka_unit_test(test_a_card_is_held_against_a_rule),
        cmocka_unit_test(test_what_is_explained_is_what_is_done),
        cmocka_unit_test(test_what_a_card_leaves_open_is_lowered),
        cmocka_unit_test(test_what_is_within_stays_as_it_is),
        cmocka_unit_test(test_an_entry_for_a_running_agent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

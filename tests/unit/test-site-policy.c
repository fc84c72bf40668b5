/* The site policy: what is none and where, what a key means that is left out, whose rule is which.
 * (What a rule makes of a card: test-site-policy-hold.c.) The many good and bad policies are in
 * tests/integration/policies. */
#include "site-policy-of.h"

#include <stdio.h>

#include "caged-limits.h"

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
        {RULE(",\"roots\":1"), "$.rules[0].roots", "parent_proxies, environment, presets, ..."},
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

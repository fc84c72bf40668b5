/* common/planted-kind: names of kinds, and which names of files are of which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "planted-kind.h"
#include "util.h"

static void kinds_have_names_and_reasons(void **state)
{
    for (int i = 0; i < PLANTED_KIND_COUNT; i++) {
        enum planted_kind kind = PLANTED_KIND_COUNT;
        assert_true(strlen(planted_kind_why(i)) > 5);
        assert_int_equal(planted_kind_from_string(planted_kind_to_string(i), &kind), 0);
        assert_int_equal(kind, i);
    }
    enum planted_kind untouched = PLANTED_VSCODE;
    assert_int_equal(planted_kind_from_string("vs-code", &untouched), -EINVAL);
    assert_int_equal(untouched, PLANTED_VSCODE);
    for (int i = 0; i < PLANTED_CHANGE_COUNT; i++)
        assert_non_null(planted_change_to_string(i));
}

/* The kind of a path below a workspace, or -1; folders called .git are git folders. */
static int kind_of(const char *path)
{
    char copy[256], *rest = copy, *name;
    struct planted_folder folder = {.name = ""}, next;
    enum planted_kind kind;

    (void)snprintf(copy, sizeof(copy), "%s", path);
    while ((name = strsep(&rest, "/")) && rest) {
        (void)planted_enter(&folder, name, &next, &kind);
        next.git = streq(name, ".git");
        folder = next;
    }
    return planted_match_file(&folder, name, &kind) ? (int)kind : -1;
}

static void names_are_of_their_kinds(void **state)
{
    static const struct {
        const char *path;
        int kind;
    } cases[] = {
        {".envrc", PLANTED_DIRENV},
        {"a/b/c/.envrc", PLANTED_DIRENV},
        {".envrc/x", -1},
        {"envrc", -1},
        {".envrc2", -1},
        {".git", PLANTED_GIT_REPOSITORY},
        {"sub/.git", PLANTED_GIT_REPOSITORY},
        {".git/hooks/pre-commit", PLANTED_GIT_HOOK},
        {".git/hooks/deep/er", PLANTED_GIT_HOOK},
        {"hooks/pre-commit", PLANTED_GIT_HOOK},
        {"tools/git/commit-msg", PLANTED_GIT_HOOK},
        {"tools/git/commit-msg.sh", -1},
        {"tools/git/update", -1},
        {"hooks/other", -1},
        {".git/x/hooks/other", -1},
        {".githooks/pre-commit", PLANTED_HOOK_MANAGER},
        {".git/config", PLANTED_GIT_CONFIG},
        {"config", -1},
        {".git/x/config", -1},
        {".git/commondir", PLANTED_GIT_REDIRECT},
        {".git/rebase-merge/git-rebase-todo", PLANTED_GIT_REBASE},
        {"rebase-merge/git-rebase-todo", -1},
        {".git/x/rebase-merge/git-rebase-todo", -1},
        {".git/rebase-merge/done", -1},
        {".git/info/attributes", PLANTED_GIT_ATTRIBUTES},
        {"info/attributes", -1},
        {".gitattributes", PLANTED_GIT_ATTRIBUTES},
        {".husky/_/x", PLANTED_HOOK_MANAGER},
        {"x/.vscode/tasks.json", PLANTED_VSCODE},
        {"vscode/tasks.json", -1},
        {"my.code-workspace", PLANTED_VSCODE},
        {".code-workspace", -1},
        {"x.sublime-project", PLANTED_EDITOR},
        {".cargo/config.toml", PLANTED_BUILD_TOOL},
        {".cargo/other.toml", -1},
        {".cargo/x/config.toml", -1},
        {"config.toml", -1},
        {".yarn/releases/yarn-4.cjs", PLANTED_BUILD_TOOL},
        {".yarn/releases/notes", -1},
        {".claude/settings.local.json", PLANTED_AGENT_SETTINGS},
        {".mcp.json", PLANTED_AGENT_SETTINGS},
        {".claude/commands/x.md", PLANTED_AGENT_SETTINGS},
        {".claude/worktrees/x/src/main.c", -1},
        {".claude/worktrees/x/.envrc", PLANTED_DIRENV},
        {".husky/worktrees/x", PLANTED_HOOK_MANAGER},
        {"docs/AGENTS.md", PLANTED_AGENT_SETTINGS},
        {".clinerules", PLANTED_AGENT_SETTINGS},
        {".clinerules/x.md", PLANTED_AGENT_SETTINGS},
        {".github/copilot-instructions.md", PLANTED_AGENT_SETTINGS},
        {".github/workflows/ci.yml", -1},
        {".hg/sharedpath", PLANTED_HG},
        {".hg/store", -1},
        {"rust-toolchain", PLANTED_BUILD_TOOL},
        {"tools/bazel", PLANTED_BUILD_TOOL},
        {"tools/other", -1},
        {".git-hooks/pre-commit/x", PLANTED_HOOK_MANAGER},
        {".env", PLANTED_TOOL_MANAGER},
        {".env.example", -1},
        {"Makefile", -1},
        {"package.json", -1},
        {".", -1},
        {"\xff", -1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (kind_of(cases[i].path) != cases[i].kind)
            fail_msg("%s is of kind %d, not %d", cases[i].path, kind_of(cases[i].path),
                     cases[i].kind);
}

static void folders_lead_to_kinds(void **state)
{
    const struct planted_folder top = {.name = ""}, git = {.name = ".git", .git = true};
    struct planted_folder folder;
    enum planted_kind kind = PLANTED_KIND_COUNT;

    assert_true(planted_enter(&top, ".husky", &folder, &kind));
    assert_int_equal(kind, PLANTED_HOOK_MANAGER);
    assert_true(folder.deep);
    assert_false(planted_enter(&folder, "x", &folder, &kind)); /* all below it is of the kind */
    assert_true(folder.deep);
    assert_true(planted_enter(&top, ".cargo", &folder, &kind));
    assert_int_equal(kind, PLANTED_BUILD_TOOL);
    assert_false(folder.deep);
    assert_true(planted_enter(&git, "hooks", &folder, &kind));
    assert_int_equal(kind, PLANTED_GIT_HOOK);
    assert_true(folder.parent_git);
    assert_false(planted_enter(&top, "hooks", &folder, &kind));
    assert_false(planted_enter(&top, "src", &folder, &kind));
    assert_string_equal(folder.name, "src");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_have_names_and_reasons),
        cmocka_unit_test(names_are_of_their_kinds),
        cmocka_unit_test(folders_lead_to_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

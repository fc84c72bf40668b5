/* What an agent could plant: the table, and how names are held against it. */
#include "planted-kind.h"

#include <limits.h>

#include "util.h"

#define ROWS_MAX 56

/* "NAME" is a file anywhere, "*END" one whose name ends so, "FOLDER/NAME" one in a folder of that
 * name, "FOLDER/" everything in such a folder, at any depth. "@" is a git folder. */
static const struct {
    const char *name;
    const char *why;
    const char *patterns[ROWS_MAX];
} kinds[] = {
    /* The names of githooks(5) wherever they are: core.hooksPath may lead there, also that of a
     * configuration outside of the workspace. "update" is left out, as other things are so called.
     */
    [PLANTED_GIT_HOOK] = {"git-hook",
                          "git runs it, if that is where it looks for hooks",
                          {"@/hooks/",           "applypatch-msg",
                           "pre-applypatch",     "post-applypatch",
                           "pre-commit",         "pre-merge-commit",
                           "prepare-commit-msg", "commit-msg",
                           "post-commit",        "pre-rebase",
                           "post-checkout",      "post-merge",
                           "pre-push",           "pre-receive",
                           "proc-receive",       "post-receive",
                           "post-update",        "reference-transaction",
                           "push-to-checkout",   "pre-auto-gc",
                           "post-rewrite",       "sendemail-validate",
                           "fsmonitor-watchman", "post-index-change",
                           "p4-changelist",      "p4-prepare-changelist",
                           "p4-post-changelist", "p4-pre-submit"}},
    [PLANTED_GIT_CONFIG] = {"git-config",
                            "git runs programs that it names",
                            {"@/config", "@/config.worktree"}},
    [PLANTED_GIT_REDIRECT] = {"git-redirect",
                              "leads git to other hooks and another configuration",
                              {"@/commondir"}},
    /* Found by what it is: a .git, or HEAD, objects and refs in one folder. */
    [PLANTED_GIT_REPOSITORY] = {"git-repository",
                                "a repository with hooks and configuration of its own",
                                {".git"}},
    [PLANTED_GIT_REBASE] = {"git-rebase",
                            "git rebase --continue runs what its exec lines say",
                            {"@/rebase-merge/git-rebase-todo"}},
    [PLANTED_GIT_MODULES] = {"git-modules",
                             "says what git submodule fetches, and where to",
                             {".gitmodules"}},
    [PLANTED_GIT_ATTRIBUTES] = {"git-attributes",
                                "says which of your filters and diff programs git runs",
                                {".gitattributes", "@/info/attributes"}},
    [PLANTED_HOOK_MANAGER] = {"hook-manager",
                              "your git hooks run what it says",
                              {".husky/",
                               ".pre-commit-config.yaml",
                               ".pre-commit-config.yml",
                               ".pre-commit-hooks.yaml",
                               "lefthook.yml",
                               "lefthook.yaml",
                               "lefthook.toml",
                               "lefthook.json",
                               "lefthook.jsonc",
                               "lefthook-local.yml",
                               "lefthook-local.yaml",
                               "lefthook-local.toml",
                               "lefthook-local.json",
                               ".lefthook.yml",
                               ".lefthook.yaml",
                               ".lefthook.toml",
                               ".lefthook.json",
                               ".lefthook-local.yml",
                               ".lefthook-local.yaml",
                               ".lefthook-local.toml",
                               ".lefthook-local.json",
                               ".lefthook/",
                               ".lefthook-local/",
                               ".overcommit.yml",
                               ".githooks/",
                               "githooks/",
                               ".git-hooks/",
                               "git-hooks/",
                               "prek.toml",
                               "captainhook.json",
                               ".simple-git-hooks.json",
                               "simple-git-hooks.json",
                               ".simple-git-hooks.js",
                               "simple-git-hooks.js",
                               ".simple-git-hooks.cjs",
                               "simple-git-hooks.cjs",
                               ".lintstagedrc",
                               ".lintstagedrc.json",
                               ".lintstagedrc.yaml",
                               ".lintstagedrc.yml",
                               ".lintstagedrc.js",
                               ".lintstagedrc.cjs",
                               ".lintstagedrc.mjs",
                               "lint-staged.config.js",
                               "lint-staged.config.cjs",
                               "lint-staged.config.mjs",
                               ".huskyrc",
                               ".huskyrc.json",
                               ".huskyrc.js"}},
    [PLANTED_DIRENV] = {"direnv", "direnv runs it when you enter the folder", {".envrc"}},
    [PLANTED_TOOL_MANAGER] = {"tool-manager",
                              "a tool of your shell runs what it says when you enter the folder",
                              {"mise.toml", ".mise.toml", "mise.local.toml", ".mise.local.toml",
                               ".mise/", "mise/config.toml", "mise-tasks/", ".tool-versions",
                               ".rtx.toml", "devbox.json", ".autoenv.zsh", ".autoenv",
                               ".autoenv.leave", ".env", ".env.leave"}},
    [PLANTED_BUILD_TOOL] = {"build-tool",
                            "a build tool runs programs that it names, whatever you ask it for",
                            {".cargo/config.toml",
                             ".cargo/config",
                             "rust-toolchain.toml",
                             "rust-toolchain",
                             ".yarnrc.yml",
                             ".yarnrc",
                             "releases/*.cjs",
                             ".npmrc",
                             ".pnpmfile.cjs",
                             ".pnpmfile.mjs",
                             "pnpm-workspace.yaml",
                             ".pnp.cjs",
                             ".pnp.loader.mjs",
                             "bunfig.toml",
                             ".bazelrc",
                             ".bazelversion",
                             ".bazeliskrc",
                             "tools/bazel",
                             "gradle-wrapper.properties",
                             "gradle-wrapper.jar",
                             "maven-wrapper.properties",
                             ".mvn/"}},
    [PLANTED_EDITOR] = {"editor",
                        "an editor or debugger may run it",
                        {".vimrc", ".exrc", ".nvimrc", ".nvim.lua", ".dir-locals.el",
                         ".dir-locals-2.el", ".gdbinit", ".lldbinit", ".zed/", "*.sublime-project",
                         ".helix/"}},
    [PLANTED_VSCODE] = {"vscode",
                        "VS Code runs tasks and programs that it names",
                        {".vscode/", "*.code-workspace"}},
    [PLANTED_JETBRAINS] = {"jetbrains",
                           "an IDE of JetBrains runs programs that it names",
                           {".idea/", ".run/", ".fleet/"}},
    [PLANTED_DEVCONTAINER] = {"devcontainer",
                              "an editor runs its commands, some of them on the host",
                              {".devcontainer/", ".devcontainer.json"}},
    [PLANTED_AGENT_SETTINGS] =
        {"agent-settings",
         "coding agents do what it says, and run what it names",
         {".claude/",        ".mcp.json",       ".codex/",
          "opencode.json",   "opencode.jsonc",  ".opencode/",
          ".gemini/",        ".qwen/",          ".cursor/",
          ".aider.conf.yml", ".continue/",      ".windsurf/",
          ".roo/",           ".kiro/",          ".crush.json",
          "crush.json",      ".goose/",         ".amazonq/",
          ".cline/",         ".clinerules",     ".clinerules/",
          ".cursorrules",    ".windsurfrules",  ".goosehints",
          ".junie/",         ".trae/",          ".augment/",
          ".kilocode/",      ".openhands/",     ".agents/",
          ".copilot/",       "AGENTS.md",       "AGENTS.override.md",
          "CLAUDE.md",       "CLAUDE.local.md", "GEMINI.md",
          "QWEN.md",         "CRUSH.md",        ".github/copilot-instructions.md"}},
    [PLANTED_HG] = {"hg-config",
                    "Mercurial runs programs and hooks that it names",
                    {".hg/hgrc", ".hg/hgrc-not-shared", ".hg/sharedpath"}},
    [PLANTED_HOME] = {"home",
                      "a shell, ssh, git or your session runs it, if the folder is your home",
                      {".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases",
                       ".profile", ".zshrc", ".zshenv", ".zprofile", ".zlogin", ".xprofile",
                       ".xsessionrc", "fish/config.fish", ".ssh/", ".gitconfig", "git/config",
                       "autostart/", "environment.d/", ".tmux.conf"}},
    [PLANTED_HIDDEN] = {"hidden", "a folder that cannot be listed, with whatever is in it", {0}},
};
_Static_assert(ARRAY_SIZE(kinds) == PLANTED_KIND_COUNT, "every kind has a row");

static const char *const changes[] = {
    [PLANTED_CREATED] = "created",
    [PLANTED_CHANGED] = "changed",
};
_Static_assert(ARRAY_SIZE(changes) == PLANTED_CHANGE_COUNT, "every change has a name");

const char *planted_kind_to_string(enum planted_kind kind)
{
    return kinds[kind].name;
}

const char *planted_kind_why(enum planted_kind kind)
{
    return kinds[kind].why;
}

int planted_kind_from_string(const char *name, enum planted_kind *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (streq(kinds[i].name, name)) {
            *ret = (enum planted_kind)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *planted_change_to_string(enum planted_change change)
{
    return changes[change];
}

/* Whether `folder`, up to its slash, is what a pattern begins with: true with *ret_rest behind the
 * slash. A git folder has any name. */
static bool begins_with_folder(const struct planted_folder *folder, const char *pattern,
                               const char **ret_rest)
{
    const char *slash;
    size_t length;

    if (pattern[0] != folder->name[0] && pattern[0] != '@') /* most do not go beyond this */
        return false;
    slash = strchr(pattern, '/');
    if (!slash)
        return false;
    length = (size_t)(slash - pattern);
    *ret_rest = slash + 1;
    if (length == 1 && pattern[0] == '@')
        return folder->git;
    return strncmp(folder->name, pattern, length) == 0 && folder->name[length] == '\0';
}

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);

    return length > end_length && streq(name + length - end_length, end);
}

/* Whether a file's name is that of a pattern without its folder. */
static bool is_name(const char *name, const char *pattern)
{
    if (pattern[0] == '*')
        return ends_with(name, pattern + 1);
    return pattern[0] == name[0] && streq(name, pattern);
}

static bool matches(const struct planted_folder *folder, const char *name, const char *pattern)
{
    const char *rest;

    if (begins_with_folder(folder, pattern, &rest) && is_name(name, rest))
        return true;
    if (pattern[0] == '@')
        return folder->parent_git && begins_with_folder(folder, pattern + 2, &rest) &&
               is_name(name, rest);
    return is_name(name, pattern); /* no name has the slash of a pattern */
}

/* With which bytes names begin and end that are of a kind anywhere, and with which those end that
 * are it by their end: most names do neither, and a workspace has many. */
static struct {
    bool ready;
    bool names[UCHAR_MAX + 1][UCHAR_MAX + 1], ends[UCHAR_MAX + 1];
} bytes;

static unsigned char last_byte(const char *name)
{
    return (unsigned char)name[strlen(name) - 1];
}

static void prepare_bytes(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        for (const char *const *p = kinds[i].patterns; *p; p++) {
            if (**p == '*')
                bytes.ends[last_byte(*p)] = true;
            else if (!strchr(*p, '/'))
                bytes.names[(unsigned char)**p][last_byte(*p)] = true;
        }
    }
    bytes.ready = true;
}

static bool can_match(const struct planted_folder *folder, const char *name)
{
    if (!bytes.ready)
        prepare_bytes();
    return folder->git || folder->counts || bytes.names[(unsigned char)name[0]][last_byte(name)] ||
           bytes.ends[last_byte(name)];
}

bool planted_match_file(const struct planted_folder *folder, const char *name,
                        enum planted_kind *ret)
{
    if (folder->deep) {
        *ret = folder->deep_kind;
        return true;
    }
    if (!can_match(folder, name))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        for (const char *const *p = kinds[i].patterns; *p; p++) {
            if (matches(folder, name, *p)) {
                *ret = (enum planted_kind)i;
                return true;
            }
        }
    }
    return false;
}

/* Whether a folder of this name in `parent` is what a pattern begins with. */
static bool leads_into(const struct planted_folder *parent, const char *name, const char *pattern,
                       const char **ret_rest)
{
    const struct planted_folder folder = {.name = name};
    const char *below;

    if (pattern[0] == '@') /* the one below a git folder */
        return begins_with_folder(parent, pattern, &below) &&
               begins_with_folder(&folder, below, ret_rest);
    return begins_with_folder(&folder, pattern, ret_rest);
}

bool planted_enter(const struct planted_folder *parent, const char *name,
                   struct planted_folder *ret, enum planted_kind *ret_kind)
{
    /* Claude Code has whole work trees there. */
    bool is_other = parent->deep_kind == PLANTED_AGENT_SETTINGS && streq(name, "worktrees");
    bool found = false;

    *ret = (struct planted_folder){
        .name = name,
        .parent_git = parent->git,
        .deep = parent->deep && !is_other,
        .deep_kind = parent->deep_kind,
    };
    for (size_t i = 0; i < ARRAY_SIZE(kinds) && !ret->deep; i++) {
        for (const char *const *p = kinds[i].patterns; *p; p++) {
            const char *rest;
            if (!leads_into(parent, name, *p, &rest))
                continue;
            if (!found)
                *ret_kind = (enum planted_kind)i;
            found = ret->counts = true;
            if (*rest == '\0') {
                ret->deep = true;
                ret->deep_kind = (enum planted_kind)i;
                break;
            }
        }
    }
    return found;
}

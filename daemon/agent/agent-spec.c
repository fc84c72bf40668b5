/* The specification of a cage: command, environment, files. */
#include "agent/agent-spec.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "gate-proto.h"
#include "init-spec.h"
#include "paths/secret-file.h"

#define CA_FILE "/etc/ssl/certs/ca-certificates.crt"

static int append_all(struct string_list *to, const struct string_list *from)
{
    for (size_t i = 0; i < from->count; i++) {
        int r = string_list_append(to, from->items[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

int agent_command(const struct card *card, const struct preset *preset,
                  const struct string_list *arguments, bool terminal, struct string_list *ret)
{
    CLEANUP(string_list_deinit) struct string_list command = {};
    const struct string_list *base = &card->command;

    if (base->count == 0 && preset)
        base = terminal && arguments->count == 0 && preset->terminal_command.count > 0
                   ? &preset->terminal_command
                   : &preset->command;
    if (base->count == 0)
        return -ENOENT;
    if (base->count + arguments->count > CARD_COMMAND_MAX)
        return -E2BIG;
    if (append_all(&command, base) < 0 || append_all(&command, arguments) < 0)
        return -ENOMEM;
    *ret = command;
    command = (struct string_list){};
    return 0;
}

/* Variables in the order in which they were first set; a later value replaces an earlier one. All
 * strings are borrowed. */
struct environment {
    struct {
        const char *name, *value;
    } variables[SPEC_ENVIRONMENT_MAX];
    size_t count;
};

static void set(struct environment *env, const char *name, const char *value)
{
    size_t i = 0;

    while (i < env->count && !streq(env->variables[i].name, name))
        i++;
    if (i == ARRAY_SIZE(env->variables))
        return; /* cannot be: SPEC_ENVIRONMENT_MAX has room for all of them */
    env->variables[i].name = name;
    env->variables[i].value = value;
    env->count = MAX_OF(env->count, i + 1);
}

static void set_all(struct environment *env, const struct card_variable *variables, size_t n)
{
    for (size_t i = 0; i < n; i++)
        set(env, variables[i].name, variables[i].value);
}

/* Proxies by address, since most cages resolve no names; and both cases, since tools differ. */
static void set_network(struct environment *env, const char *proxy)
{
    static const char *const proxies[] = {"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"};
    static const char *const direct = "localhost,127.0.0.1,::1";

    for (size_t i = 0; i < ARRAY_SIZE(proxies); i++)
        set(env, proxies[i], proxy);
    set(env, "NO_PROXY", direct);
    set(env, "no_proxy", direct);
    set(env, "NODE_USE_ENV_PROXY", "1");
    if (access(CA_FILE, R_OK) == 0) {
        set(env, "SSL_CERT_FILE", CA_FILE);
        set(env, "NODE_EXTRA_CA_CERTS", CA_FILE);
    }
}

/* A provider's tools look for its own variable; those of a custom one for the preset's. */
static const char *key_variable(const struct agent_spec_input *input)
{
    if (input->card->api_provider == API_PROVIDER_CUSTOM && input->preset &&
        input->preset->api_key_variable)
        return input->preset->api_key_variable;
    return api_provider_key_variable(input->card->api_provider);
}

static void put_environment(struct records_writer *w, const struct agent_spec_input *input)
{
    struct environment env = {.count = 0};
    char proxy[64], address[INET_ADDRSTRLEN] = "";

    (void)inet_ntop(AF_INET, &input->gate_address, address, sizeof(address));
    (void)snprintf(proxy, sizeof(proxy), "http://%s:%d", address, GATE_PORT);

    set(&env, "PATH", CAGE_PATH);
    set(&env, "HOME", CAGE_HOME);
    set(&env, "USER", "agent");
    set(&env, "TERM", input->terminal ? "xterm-256color" : "dumb");
    set(&env, "LANG", "C.UTF-8");
    set(&env, "TMPDIR", "/tmp");
    set_network(&env, proxy);
    if (input->preset)
        set_all(&env, input->preset->environment, input->preset->n_environment);
    if (input->api_key)
        set(&env, key_variable(input), input->api_key);
    set_all(&env, input->card->environment, input->card->n_environment);
    set(&env, "AGENT_ID", input->card->agent_id);

    for (size_t i = 0; i < env.count; i++) {
        char *text;
        if (asprintf(&text, "%s=%s", env.variables[i].name, env.variables[i].value) < 0) {
            w->error = -ENOMEM;
            return;
        }
        (void)records_put_string(w, INIT_SPEC_ENVIRONMENT, text);
        (void)secret_free(text);
    }
}

static void put_files(struct records_writer *w, const struct preset *preset)
{
    for (size_t i = 0; preset && i < preset->n_files; i++) {
        const struct preset_file *file = &preset->files[i];
        size_t path_size = strlen(file->path) + 1;
        AUTO_FREE char *value = malloc(path_size + file->size);

        if (!value) {
            w->error = -ENOMEM;
            return;
        }
        memcpy(value, file->path, path_size);
        memcpy(value + path_size, file->content, file->size);
        (void)records_put(w, file->agent_owned ? INIT_SPEC_AGENT_FILE : INIT_SPEC_FILE, value,
                          path_size + file->size);
    }
}

static void put_mounts(struct records_writer *w, const struct agent_spec_input *input)
{
    for (size_t i = 0; i < input->card->n_mounts; i++) {
        const struct card_mount *mount = &input->card->mounts[i];
        const struct workspace *folder = &input->mounts[i];
        const struct init_spec_mount_ids ids = {
            .writable = !mount->readonly,
            .uid = folder->owner,
            .gid = folder->group,
            .folder_uid = folder->folder_owner,
            .folder_gid = folder->folder_group,
        };
        uint8_t value[sizeof(ids) + CARD_MOUNT_TARGET_MAX + 1];
        size_t size = strlen(mount->target) + 1;

        memcpy(value, &ids, sizeof(ids));
        memcpy(value + sizeof(ids), mount->target, size);
        (void)records_put(w, INIT_SPEC_MOUNT, value, sizeof(ids) + size);
    }
}

int agent_spec_new(const struct agent_spec_input *input)
{
    CLEANUP(records_writer_deinit) struct records_writer w = {};
    const struct card *card = input->card;
    int r;

    (void)records_put_u64(&w, INIT_SPEC_VERSION_NUMBER, INIT_SPEC_VERSION);
    (void)records_put_string(&w, INIT_SPEC_AGENT_ID, card->agent_id);
    (void)records_put_u64(&w, INIT_SPEC_UID_BASE, input->uid_base);
    (void)records_put_u64(&w, INIT_SPEC_OWNER_UID, input->workspace->owner);
    (void)records_put_u64(&w, INIT_SPEC_OWNER_GID, input->workspace->group);
    (void)records_put_u64(&w, INIT_SPEC_FOLDER_UID, input->workspace->folder_owner);
    (void)records_put_u64(&w, INIT_SPEC_FOLDER_GID, input->workspace->folder_group);
    (void)records_put_u64(&w, INIT_SPEC_MAX_OPEN_FILES, card->limits.max_open_files);
    (void)records_put_u64(&w, INIT_SPEC_TMPFS_BYTES, card->limits.memory_mb * 1024 * 1024);
    (void)records_put_u64(&w, INIT_SPEC_TERMINAL, input->terminal);
    (void)records_put_u64(&w, INIT_SPEC_TERMINAL_ROWS, input->terminal_rows);
    (void)records_put_u64(&w, INIT_SPEC_TERMINAL_COLUMNS, input->terminal_columns);
    (void)records_put_u64(&w, INIT_SPEC_NAME_SERVER,
                          card->transparent ? ntohl(input->gate_address.s_addr) : 0);
    (void)records_put_u64(&w, INIT_SPEC_PROTECT_GIT, card->protect_git);
    (void)records_put_string(&w, INIT_SPEC_WORKSPACE, input->workspace->path);
    for (size_t i = 0; i < input->command->count; i++)
        (void)records_put_string(&w, INIT_SPEC_ARGUMENT, input->command->items[i]);
    put_mounts(&w, input);
    put_environment(&w, input);
    put_files(&w, input->preset);

    if (w.error)
        return w.error;
    r = w.size > SPEC_SIZE_MAX ? -E2BIG : memfd_new_sealed("caged-spec", w.data, w.size);
    explicit_bzero(w.data, w.size);
    return r;
}

/* A line of an agent's output, from the daemon or from the journal. */
#include "agent-line.h"

#include "base64.h"
#include "field.h"
#include "json-bytes.h"
#include "util.h"

void agent_line_deinit(struct agent_line *line)
{
    free(TAKE_PTR(line->owned));
    line->bytes = NULL;
    line->size = 0;
}

bool invocation_id_is_sane(const char *text)
{
    for (size_t i = 0; i < INVOCATION_ID_LENGTH; i++)
        if (hex_value(text[i]) < 0) /* the end too */
            return false;
    return text[INVOCATION_ID_LENGTH] == 0;
}

static int set_invocation_id(struct agent_line *line, const char *text)
{
    if (!invocation_id_is_sane(text))
        return -EPROTO;
    memcpy(line->invocation_id, text, INVOCATION_ID_LENGTH + 1);
    return 0;
}

static int set_stream(struct agent_line *line, const char *name)
{
    line->is_stderr = streq(name, "stderr");
    return line->is_stderr || streq(name, "stdout") ? 0 : -EPROTO;
}

/* -- from the daemon -- */

static int take_bytes(const json_t *json, struct agent_line *line)
{
    const char *data = NULL;

    if (field_string_optional(json, "data", &data) < 0)
        return -EPROTO;
    if (!data) {
        line->size = json_string_length(json_object_get(json, "text"));
        return field_string(json, "text", &line->bytes);
    }
    int r = base64_decode(data, &line->owned, &line->size);
    line->bytes = line->owned;
    return r == -EINVAL ? -EPROTO : r;
}

int agent_line_from_json(const json_t *json, const char *invocation_id, struct agent_line *ret)
{
    struct agent_line line = {};
    const char *stream;

    if (!json_is_object(json) || field_u64(json, "sequence", &line.sequence) < 0 ||
        line.sequence == 0 || field_u64(json, "time_usec", &line.time_usec) < 0 ||
        field_string(json, "stream", &stream) < 0 || set_stream(&line, stream) < 0 ||
        field_bool_optional(json, "partial", &line.partial) < 0 ||
        set_invocation_id(&line, invocation_id) < 0)
        return -EPROTO;
    int r = take_bytes(json, &line);
    if (r == 0)
        *ret = line;
    return r;
}

/* -- from the journal -- */

/* An array of the values of bytes; one of anything else is a field that the entry has twice. */
static int take_byte_array(const json_t *array, struct agent_line *line)
{
    size_t n = json_array_size(array);
    AUTO_FREE unsigned char *bytes = malloc(n + 1);

    if (!bytes)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(array, i);
        json_int_t byte = json_integer_value(value);
        if (!json_is_integer(value) || byte < 0 || byte > UINT8_MAX)
            return -EPROTO;
        bytes[i] = (unsigned char)byte;
    }
    line->owned = TAKE_PTR(bytes);
    line->bytes = line->owned;
    line->size = n;
    return 0;
}

static int take_message(const json_t *message, struct agent_line *line)
{
    if (json_is_array(message))
        return take_byte_array(message, line);
    if (!json_is_string(message))
        return -EPROTO;
    line->size = json_string_length(message);
    line->owned = malloc(line->size + 1);
    if (!line->owned)
        return -ENOMEM;
    memcpy(line->owned, json_string_value(message), line->size);
    line->bytes = line->owned;
    return 0;
}

static int take_entry(const json_t *entry, struct agent_line *ret)
{
    struct agent_line line = {};
    const char *invocation_id, *stream, *partial = NULL;

    if (!json_is_object(entry) || field_string(entry, "CAGED_INVOCATION_ID", &invocation_id) < 0 ||
        set_invocation_id(&line, invocation_id) < 0 ||
        field_decimal(entry, "CAGED_SEQUENCE", &line.sequence) < 0 || line.sequence == 0 ||
        field_decimal(entry, "CAGED_TIME_USEC", &line.time_usec) < 0 ||
        field_string(entry, "CAGED_STREAM", &stream) < 0 || set_stream(&line, stream) < 0 ||
        field_string_optional(entry, "CAGED_PARTIAL", &partial) < 0 ||
        (partial && !streq(partial, "1")))
        return -EPROTO;
    line.partial = partial != NULL;
    int r = take_message(json_object_get(entry, "MESSAGE"), &line);
    if (r == 0)
        *ret = line;
    return r;
}

int agent_line_from_journal(const char *text, size_t size, struct agent_line *ret)
{
    json_error_t error;
    json_t *entry = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

    if (!entry)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EPROTO;
    int r = take_entry(entry, ret);
    json_decref(entry);
    return r;
}

/* -- to JSON -- */

json_t *agent_line_to_json(const struct agent_line *line)
{
    const char *name;
    json_t *bytes = json_bytes(line->bytes, line->size, &name);
    json_t *json;

    if (!bytes)
        return NULL;
    json =
        json_pack("{s:I, s:I, s:s, s:o, s:s}", "sequence", (json_int_t)line->sequence, "time_usec",
                  (json_int_t)line->time_usec, "stream", line->is_stderr ? "stderr" : "stdout",
                  name, bytes, "invocation_id", line->invocation_id);
    if (json && line->partial && json_object_set_new(json, "partial", json_true()) < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* Any text as a card: no crash; an error is whole, printable and names a path; and what a card is
 * printed as is a card again, prints the same, and holds no value of the environment. */
#include "caged-limits.h"
#include "card.h"
#include "fuzz-card-error.h"
#include "json-text.h"
#include "util.h"

static void check_card(const struct card *card)
{
    require(card->agent_id && card->workspace);
    require(card->workspace[0] == '/' && card->workspace[1] && !strstr(card->workspace, "//"));
    require(!strstr(card->workspace, "/../"));
    require(card->command.count <= CARD_COMMAND_MAX);
    require(card->limits.memory_mb >= CARD_MEMORY_MB_MIN);
    require(card->limits.memory_high_mb <= card->limits.memory_mb);
    require(card->limits.swap_mb <= CARD_SWAP_MB_MAX);
    require(card->limits.cpu_quota_percent <= CARD_CPU_QUOTA_PERCENT_MAX);
    require(card->limits.io_weight <= CARD_IO_WEIGHT_MAX);
    require(card->limits.io_read_bps == 0 || card->limits.io_read_bps >= CARD_IO_BPS_MIN);
    require(card->limits.io_write_iops == 0 || card->limits.io_write_iops >= CARD_IO_IOPS_MIN);
    require(card->limits.max_processes <= CARD_PROCESSES_MAX);
    require(card->ttl_seconds <= CARD_TTL_MAX);
    require(!card->proxy || has_prefix(card->proxy, "http://"));
}

static void check_printed(const struct card *card)
{
    struct card_error error;
    struct json_text_error text_error;
    struct card *again = NULL;
    json_t *reread = NULL;

    json_t *json = card_to_json(card);
    require(json != NULL);
    const char *name;
    json_t *value;
    json_object_foreach (json_object_get(json, "environment"), name, value)
        require(streq(json_string_value(value), "(set)"));

    char *text = json_dumps(json, 0);
    require(text != NULL);
    require(json_text_parse(text, strlen(text), CARD_NESTING_MAX, &reread, &text_error) == 0);
    require(json_equal(reread, json));
    require(card_parse(reread, &again, &error) == 0);
    check_card(again);
    json_t *json_again = card_to_json(again);
    require(json_equal(json, json_again));

    json_decref(json_again);
    card_free(again);
    json_decref(reread);
    free(text);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct card *card = NULL;
    struct card_error error;

    int r = card_parse_text((const char *)data, size, &card, &error);
    require(r == 0 || r == -EINVAL);
    if (r < 0) {
        check_error(&error);
        return 0;
    }
    check_card(card);
    check_printed(card);
    card_free(card);
    return 0;
}

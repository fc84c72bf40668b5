/* Any file that a repository may have as its configuration: no crash, values within their bounds,
 * and the same whatever pieces it is read in (common/git-config.h). */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "git-config.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
    const uint8_t *bytes;
    size_t size, at, piece;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static ssize_t read_text(void *context, char *buffer, size_t size)
{
    struct text *text = context;
    size_t n = text->size - text->at;

    n = n > text->piece ? text->piece : n;
    n = n > size ? size : n;
    if (n > 0)
        memcpy(buffer, text->bytes + text->at, n);
    text->at += n;
    return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text texts[] = {{data, size, 0, 1}, {data, size, 0, SIZE_MAX}};
    struct git_config configs[ARRAY_SIZE(texts)];
    char values[ARRAY_SIZE(texts)][PROTECT_PATH_MAX];
    enum git_config_key keys[ARRAY_SIZE(texts)];
    size_t count = 0;
    int r[ARRAY_SIZE(texts)];

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        git_config_init(&configs[i], read_text, &texts[i]);
    do {
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
            r[i] = git_config_next(&configs[i], &keys[i], values[i]);
            require(r[i] == 1 || r[i] == 0 || r[i] == -EBADMSG || r[i] == -ENAMETOOLONG);
        }
        require(r[0] == r[1] && configs[0].line == configs[1].line && configs[0].line <= size + 1);
        if (r[0] == 1) {
            require(keys[0] == keys[1] && keys[0] < GIT_CONFIG_KEY_COUNT);
            require(strnlen(values[0], PROTECT_PATH_MAX) < PROTECT_PATH_MAX);
            require(streq(values[0], values[1]));
            require(++count <= size / strlen("path=\n") + 1);
        }
    } while (r[0] == 1);
    require(git_config_next(&configs[0], &keys[0], values[0]) == 0);
    return 0;
}

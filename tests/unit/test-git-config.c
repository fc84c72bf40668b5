/* common/git-config: what git would read of three names, and what it would not read at all. */
#include "unit-test.h"

#include <stdio.h>

#include "git-config.h"
#include "util.h"

/* Gives a text in pieces of so many bytes, then `last`. */
struct text {
    const char *bytes;
    size_t size, at, piece;
    ssize_t last;
};

static ssize_t read_text(void *context, char *buffer, size_t size)
{
    struct text *text = context;
    size_t n = text->size - text->at;

    n = n > text->piece ? text->piece : n;
    n = n > size ? size : n;
    if (n == 0)
        return text->last;
    memcpy(buffer, text->bytes + text->at, n);
    text->at += n;
    return (ssize_t)n;
}

/* "h:VALUE;i:VALUE;" and then the result, if that is not 0. */
static void parse(const char *bytes, size_t size, size_t piece, char *ret, size_t ret_size)
{
    struct text text = {.bytes = bytes, .size = size, .piece = piece};
    static const char letters[GIT_CONFIG_KEY_COUNT] = {'h', 'i', 'w'};
    struct git_config config;
    enum git_config_key key;
    char value[PROTECT_PATH_MAX];
    size_t used = 0;
    int r;

    ret[0] = '\0';
    git_config_init(&config, read_text, &text);
    while ((r = git_config_next(&config, &key, value)) > 0)
        used += (size_t)snprintf(ret + used, ret_size - used, "%c:%s;", letters[key], value);
    if (r < 0)
        (void)snprintf(ret + used, ret_size - used, "%s %u",
                       r == -EBADMSG        ? "bad"
                       : r == -ENAMETOOLONG ? "long"
                                            : "?",
                       config.line);
    assert_int_equal(git_config_next(&config, &key, value), 0);
}

static void texts_are_read_as_git_reads_them(void **state)
{
#define TEXT(text, result)                                                                         \
    {                                                                                              \
        text, sizeof(text) - 1, result                                                             \
    }
    static const struct {
        const char *text;
        size_t size;
        const char *result;
    } cases[] = {
        TEXT("", ""),
        TEXT("\n\n  \t\n", ""),
        TEXT("[core]\n\thooksPath = .githooks\n", "h:.githooks;"),
        TEXT("[CORE]\nHOOKSPATH=x", "h:x;"),
        TEXT("[core] hooksPath = x\n", "h:x;"),
        TEXT("[core]hooksPath=x # y\n", "h:x;"),
        TEXT("[core]hooksPath=x;y\n", "h:x;"),
        TEXT("[core]hooksPath=\"x;y\" ; z\n", "h:x;y;"),
        TEXT("[core]\r\nhooksPath = x\r\n", "h:x;"),
        TEXT("\xef\xbb\xbf[core]hooksPath = x\n", "h:x;"),
        TEXT("[core]\nhooksPath = a\nhooksPath = b\n", "h:a;h:b;"),
        TEXT("[core]\nhooksPath =   a  b  \n", "h:a  b;"),
        TEXT("[core]\nhooksPath = \" a \"  \n", "h: a ;"),
        TEXT("[core]\nhooksPath = a\\\nb\n", "h:ab;"),
        TEXT("[core]\nhooksPath = a \\\n  b\n", "h:a   b;"),
        TEXT("[core]\nhooksPath = \\\n\\\n x\n", "h:x;"),
        TEXT("[core]\nhooksPath = \"a\\tb\\n\\\"\\\\\"c\n", "h:a\tb\n\"\\c;"),
        TEXT("[core]\nhooksPath = a\"b c\"d\n", "h:ab cd;"),
        TEXT("[core]\nhooksPath =\n", "h:;"),
        TEXT("[core]\nhooksPath\n", ""),
        TEXT("[core]\nhooksPath", ""),
        TEXT("[core]\nhooksPath # x\n", "bad 2"),
        TEXT("[core]\n; hooksPath = x\n# hooksPath = y\n", ""),
        TEXT("[core]\neditor = \"[core]hooksPath=x\"\n", ""),
        TEXT("[core]\neditor = a\\\nhooksPath = x\n", ""),
        TEXT("[core \"x\"]\nhooksPath = x\n", ""),
        TEXT("[core.x]\nhooksPath = x\n", ""),
        TEXT("[core.]\nhooksPath = x\n", ""),
        TEXT("[core \"\"]\nhooksPath = x\n", ""),
        TEXT("[cor]\nehooksPath = x\n", ""),
        TEXT("[core-]\nhooksPath = x\n", ""),
        TEXT("[core]\nhooksPath2 = x\nhooks-Path = y\n", ""),
        TEXT("[core]\naVeryLongNameOfAVariable = x\nhooksPath = y\n", "h:y;"),
        TEXT("[aVeryLongNameOfASection]\nhooksPath = y\n[core]hooksPath=z", "h:z;"),
        TEXT("[core]\nworktree = ../../x\n", "w:../../x;"),
        TEXT("[include]\npath = ../.gitconfig\n", "i:../.gitconfig;"),
        TEXT("[include \"x\"]\npath = y\n", ""),
        TEXT("[includeIf]\npath = y\n", ""),
        TEXT("[includeIf \"gitdir:~/x]\\\"y\\\\/\"]\npath = z\n", "i:z;"),
        TEXT("[INCLUDEIF\t \"onbranch:main\"] PATH = z\n", "i:z;"),
        TEXT("[includeIf.x \"gitdir:/\"]path=z\n", "i:z;"),
        TEXT("[core]\n[other]\nhooksPath = x\n[core]\nhooksPath = y\n", "h:y;"),
        TEXT("hooksPath = x\n", ""),
        TEXT("[core]\nhooksPath = x\n]\n", "h:x;bad 3"),
        TEXT("[]\n", "bad 1"),
        TEXT("[core\n]\n", "bad 1"),
        TEXT("[core \"x\n\"]\n", "bad 1"),
        TEXT("[core \"x\\\n\"]\n", "bad 1"),
        TEXT("[core \"x\" ]\n", "bad 1"),
        TEXT("[core x]\n", "bad 1"),
        TEXT("[core", "bad 1"),
        TEXT("[co_re]\n", "bad 1"),
        TEXT("[core]\n1x = y\n", "bad 2"),
        TEXT("[core]\na_b = y\n", "bad 2"),
        TEXT("[core]\nx = \"y\n", "bad 2"),
        TEXT("[core]\nx = \\y\n", "bad 2"),
        TEXT("[core]\nx = \\\0\n", "bad 2"),
        TEXT("[core]\nx = y\0z # \0\n[core]hooksPath=x", "h:x;"),
        TEXT("[core]\nhooksPath = y\0z\n", "bad 2"),
        TEXT("[core]\nhooksPath = y\tz\n", "bad 2"),
        TEXT("[core]\nhooksPath = y\rz\n", "bad 2"),
        TEXT("[core]\nhooksPath = y\t\r\n", "h:y;"),
        TEXT("[core]\nx = y\tz\nhooksPath=a", "h:a;"),
        TEXT("\xef\xbb[core]\n", "bad 1"),
        TEXT("\n\xef\xbb\xbf[core]\n", "bad 2"),
        TEXT("\0", "bad 1"),
        TEXT("\xff", "bad 1"),
        TEXT("\r", ""),
    };
    char result[4096];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t piece = 1; piece < 6; piece++) {
            parse(cases[i].text, cases[i].size, piece, result, sizeof(result));
            if (!streq(result, cases[i].result))
                fail_msg("%zu: \"%s\" is \"%s\"", i, cases[i].text, result);
        }
    }
}

/* One byte less than the room for it fits; of a name that is not asked for, any. */
static void values_have_a_bound(void **state)
{
    static char text[3 * PROTECT_PATH_MAX];
    char result[2 * PROTECT_PATH_MAX];

    for (int more = 0; more < 2; more++) {
        int n = snprintf(text, sizeof(text), "[core]\nhooksPath = %0*d\n",
                         PROTECT_PATH_MAX - 1 + more, 7);
        parse(text, (size_t)n, 1000, result, sizeof(result));
        if (more)
            assert_string_equal(result, "long 2");
        else
            assert_int_equal(strlen(result), PROTECT_PATH_MAX + 2);
    }
    int n =
        snprintf(text, sizeof(text), "[core]\neditor = %0*d\nhooksPath=x", 2 * PROTECT_PATH_MAX, 7);
    parse(text, (size_t)n, 1000, result, sizeof(result));
    assert_string_equal(result, "h:x;");
}

static void what_cannot_be_read_is_no_end(void **state)
{
    static const char bytes[] = "[core]\nhooksPath = x\n";
    struct text text = {.bytes = bytes, .size = strlen(bytes), .piece = 7, .last = -EIO};
    struct git_config config;
    enum git_config_key key;
    char value[PROTECT_PATH_MAX];

    git_config_init(&config, read_text, &text);
    assert_int_equal(git_config_next(&config, &key, value), 1);
    assert_string_equal(value, "x");
    assert_int_equal(git_config_next(&config, &key, value), -EIO);
    text = (struct text){.bytes = bytes, .size = 10, .piece = 7, .last = -E2BIG};
    git_config_init(&config, read_text, &text);
    assert_int_equal(git_config_next(&config, &key, value), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_as_git_reads_them),
        cmocka_unit_test(values_have_a_bound),
        cmocka_unit_test(what_cannot_be_read_is_no_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Base64: RFC 4648's own vectors, every byte, and what is no base64. */
#include "unit-test.h"

#include <errno.h>
#include <string.h>

#include "base64.h"
#include "util.h"

static void rfc_vectors(void **state)
{
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        AUTO_FREE char *text = base64_encode(vectors[i][0], strlen(vectors[i][0]));
        AUTO_FREE void *back = NULL;
        size_t size = 99;
        assert_string_equal(text, vectors[i][1]);
        assert_int_equal(base64_decode(text, &back, &size), 0);
        assert_int_equal(size, strlen(vectors[i][0]));
        assert_memory_equal(back, vectors[i][0], size);
    }
}

static void all_bytes_of_all_lengths(void **state)
{
    uint8_t bytes[256];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 167 + 13);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        AUTO_FREE char *text = base64_encode(bytes, n);
        AUTO_FREE void *back = NULL;
        size_t size;
        assert_int_equal(base64_decode(text, &back, &size), 0);
        assert_int_equal(size, n);
        assert_memory_equal(back, bytes, n);
    }
}

static void refuses_what_is_not_canonical(void **state)
{
    static const char *const bad[] = {"Z",        "Zg",   "Zg=",    "Zh==", "Zm9=", "====",
                                      "Zg==Zg==", "Zm9 ", "Zm9v\n", "Zm-v", "=Zm9", "Z==="};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        void *back = NULL;
        size_t size = 0;
        assert_int_equal(base64_decode(bad[i], &back, &size), -EINVAL);
        assert_null(back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_vectors),
        cmocka_unit_test(all_bytes_of_all_lengths),
        cmocka_unit_test(refuses_what_is_not_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

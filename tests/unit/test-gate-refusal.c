/* What a gate answers where it refuses: a code for each reason, whole, in the form that was asked
 * for. */
#include "unit-test.h"

#include "daemon/gate/refusal.h"
#include "util.h"

static void test_refusals(void **state)
{
    for (int i = 0; i < REFUSAL_COUNT; i++) {
        enum refusal refusal = REFUSAL_COUNT;
        const char *code = refusal_code((enum refusal)i);
        assert_int_equal(refusal_from_code(code, &refusal), 0);
        assert_int_equal(refusal, i);
        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz-"), strlen(code));
    }
    enum refusal refusal;
    assert_int_equal(refusal_from_code("no-such-code", &refusal), -EINVAL);
}

static void test_responses_fit(void **state)
{
    char buffer[REFUSAL_RESPONSE_MAX];
    static char longest[256], detail[8000];
    memset(longest, 'a', sizeof(longest) - 1);
    memset(detail, '"', sizeof(detail) - 1);
    struct refusal_context context = {longest, longest, 65535, longest, detail, false, false, NULL};

    for (int i = 0; i < 2 * REFUSAL_COUNT; i++) {
        context.json = i % 2;
        size_t size = refusal_response((enum refusal)(i / 2), &context, buffer);
        assert_true(size < sizeof(buffer));
        buffer[size] = '\0';
        const char *body = strstr(buffer, "\r\n\r\n");
        const char *length = strstr(buffer, "Content-Length: ");
        assert_non_null(body);
        assert_non_null(length);
        assert_int_equal(strtoul(length + strlen("Content-Length: "), NULL, 10), strlen(body + 4));
        if (context.json)
            assert_string_equal(buffer + size - 4, "\"}}\n"); /* never cut */
    }
}

static void test_refusals_are_told_as_they_were_asked_for(void **state)
{
    char buffer[REFUSAL_RESPONSE_MAX];
    struct refusal_context context = {
        .agent_id = "x", .host = "::1", .port = 81, .rule = "", .json = true};

    size_t size = refusal_response(REFUSAL_HOST_NOT_ALLOWED, &context, buffer);
    buffer[size] = '\0';
    assert_string_equal(
        strstr(buffer, "\r\n\r\n") + 4,
        "{\"error\":{\"code\":\"host-not-allowed\",\"message\":\"caged refused [::1]:81 for the "
        "agent "
        "\\\"x\\\": no entry of allowed_hosts in the agent's card matches this host and port.\","
        "\"host\":\"::1\",\"port\":81,\"rule\":null,\"advice\":\"To allow it, the agent's operator "
        "can add "
        "\\\"[::1]:81\\\" to allowed_hosts in the card of x, or run: cagectl allow x [::1]:81\","
        "\"agent_id\":\"x\",\"docs\":\"cagedd(8), section REFUSALS\"}}\n");
    assert_non_null(strstr(buffer, "\r\nContent-Type: application/json\r\n"));
    assert_null(strstr(buffer, "Connection"));

    context = (struct refusal_context){.agent_id = "x",
                                       .host = "",
                                       .rule = "",
                                       .detail = "\"\\\x1b\xff",
                                       .json = true,
                                       .connection = "close"};
    size = refusal_response(REFUSAL_BAD_REQUEST, &context, buffer);
    buffer[size] = '\0';
    assert_non_null(strstr(buffer, "(\\\"\\\\?"
                                   "?).\",\"host\":null,\"port\":null,"));
    assert_non_null(strstr(buffer, "\r\nConnection: close\r\n\r\n"));

    context.head_alone = true; /* the length of what a GET would have had, and nothing behind it */
    size_t head = refusal_response(REFUSAL_BAD_REQUEST, &context, buffer);
    assert_memory_equal(buffer + head - 4, "\r\n\r\n", 4);
    size_t length =
        strtoul(strstr(buffer, "Content-Length: ") + strlen("Content-Length: "), NULL, 10);
    assert_int_equal(head + length, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_responses_fit),
        cmocka_unit_test(test_refusals_are_told_as_they_were_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

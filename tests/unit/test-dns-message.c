/* daemon/gate/dns-message.c: what a question is and what is none, and each byte of an answer. */
#include "unit-test.h"

#include <arpa/inet.h>

#include "daemon/gate/dns-message.h"
#include "util.h"

#define HEADER "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define WITH_MORE "\x12\x34\x01\x10\x00\x01\x00\x00\x00\x00\x00\x01"
#define NAME "\3git\7Example\0"
#define NAME_A NAME "\0\1\0\1"
#define OPT "\0\0\x29\x10\0\0\0\x80\0\0\0"
#define TEXT(text) (const uint8_t *)(text), sizeof(text) - 1

static struct dns_question parse(const uint8_t *data, size_t size)
{
    struct dns_question question;

    assert_int_equal(dns_question_parse(data, size, &question), 0);
    return question;
}

static void a_question_is_read(void **state)
{
    struct dns_question question = parse(TEXT(HEADER NAME_A));

    assert_int_equal(question.kind, DNS_KIND_A);
    assert_true(question.internet);
    assert_true(question.is_host);
    assert_string_equal(question.host.name, "git.example");
    assert_false(question.extended);
    assert_int_equal(question.size, 12 + 13 + 4);

    question = parse(TEXT(WITH_MORE NAME "\0\x1c\0\3" OPT));
    assert_int_equal(question.kind, DNS_KIND_AAAA);
    assert_false(question.internet);
    assert_true(question.extended);
    assert_int_equal(question.size, 12 + 13 + 4);

    /* something else behind the question, or less than an OPT record, is no reason not to answer */
    assert_false(parse(TEXT(WITH_MORE NAME_A "\0\0\x28\x10\0\0\0\x80\0\0\0")).extended);
    assert_false(parse(TEXT(WITH_MORE NAME_A "\0\0\x29\x10\0\0\0\x80\0\0")).extended);
    assert_false(parse(TEXT(HEADER NAME_A OPT)).extended);
}

static void what_no_host_is_called_is_no_host(void **state)
{
    assert_false(parse(TEXT(HEADER "\0\0\2\0\1")).is_host);       /* the root */
    assert_false(parse(TEXT(HEADER "\3a.b\0\0\1\0\1")).is_host);  /* a dot in a label */
    assert_false(parse(TEXT(HEADER "\3a b\0\0\1\0\1")).is_host);  /* a space */
    assert_false(parse(TEXT(HEADER "\3a\0b\0\0\1\0\1")).is_host); /* a NUL */
    assert_false(parse(TEXT(HEADER "\1\xe4\0\0\1\0\1")).is_host); /* not ASCII */
    assert_false(parse(TEXT(HEADER "\4[::]\0\0\1\0\1")).is_host); /* addresses */
    assert_false(parse(TEXT(HEADER "\2::\0\0\1\0\1")).is_host);
    assert_false(parse(TEXT(HEADER "\1"
                                   "1\1"
                                   "2\1"
                                   "3\1"
                                   "4\0\0\1\0\1"))
                     .is_host);
    assert_true(parse(TEXT(HEADER "\4_srv\3a-b\0\0\1\0\1")).is_host);
}

static void what_is_no_question_is_refused(void **state)
{
    static const uint8_t good[] = HEADER NAME_A;
    uint8_t data[DNS_QUESTION_MAX + 1] = {0};
    struct dns_question question;

    for (size_t size = 0; size < sizeof(good) - 1; size++)
        assert_int_equal(dns_question_parse(good, size, &question), -EBADMSG);

    static const struct {
        size_t offset;
        uint8_t value;
    } bad[] = {
        {2, 0x81},  /* an answer */
        {2, 0x09},  /* other than a standard query */
        {2, 0x29},  /* a notification, an update */
        {2, 0x03},  /* truncated */
        {4, 1},     /* 257 questions */
        {5, 0},     /* none */
        {5, 2},     /* two */
        {7, 1},     /* an answer among the questions */
        {9, 1},     /* an authority */
        {12, 0xc0}, /* a pointer */
        {12, 0x40}, /* the other two kinds of label */
        {12, 0x80}, /* that there are not */
        {12, 63},   /* longer than what is there */
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        memcpy(data, good, sizeof(good));
        data[bad[i].offset] = bad[i].value;
        assert_int_equal(dns_question_parse(data, sizeof(good) - 1, &question), -EBADMSG);
    }

    memcpy(data, good, sizeof(good));
    assert_int_equal(dns_question_parse(data, DNS_QUESTION_MAX, &question), 0);
    assert_int_equal(dns_question_parse(data, DNS_QUESTION_MAX + 1, &question), -EBADMSG);
}

/* A name of so many labels of one letter. */
static int parse_long(size_t labels, struct dns_question *question)
{
    static uint8_t data[DNS_QUESTION_MAX];
    uint8_t *to = data + 12;

    memcpy(data, HEADER, 12);
    for (size_t i = 0; i < labels; i++) {
        *to++ = 1;
        *to++ = 'a';
    }
    memcpy(to, "\0\0\1\0\1", 5);
    return dns_question_parse(data, (size_t)(to + 5 - data), question);
}

static void the_longest_name_is_taken_and_no_longer_one(void **state)
{
    struct dns_question question;

    assert_int_equal(parse_long(127, &question), 0); /* 255 bytes */
    assert_true(question.is_host);
    assert_int_equal(strlen(question.host.name), 253);
    assert_int_equal(parse_long(128, &question), -EBADMSG);
}

static void check_answer(const struct dns_question *question, enum dns_code code,
                         const char *address, const uint8_t *wanted, size_t size)
{
    uint8_t buffer[DNS_ANSWER_MAX];
    struct in_addr bytes;

    if (address)
        assert_int_equal(inet_pton(AF_INET, address, &bytes), 1);
    assert_int_equal(dns_answer_write(question, code, address ? &bytes : NULL, buffer), size);
    assert_memory_equal(buffer, wanted, size);
}

static void answers_are_as_they_should(void **state)
{
    struct dns_question question = parse(TEXT(HEADER NAME_A "tail"));

    check_answer(&question, DNS_CODE_OK, "198.18.1.2",
                 TEXT("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" NAME_A
                      "\xc0\x0c\0\1\0\1\0\0\0\x0a\0\4\xc6\x12\1\2"));
    check_answer(&question, DNS_CODE_OK, NULL, TEXT("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" NAME_A));
    check_answer(&question, DNS_CODE_NO_SUCH_NAME, NULL,
                 TEXT("\x12\x34\x81\x83\0\1\0\0\0\0\0\0" NAME_A));

    question = parse(TEXT(WITH_MORE NAME_A OPT));
    check_answer(&question, DNS_CODE_REFUSED, NULL,
                 TEXT("\x12\x34\x81\x95\0\1\0\0\0\0\0\1" NAME_A "\0\0\x29\x02\0\0\0\0\0\0\0"));
    check_answer(&question, DNS_CODE_OK, "198.19.255.254",
                 TEXT("\x12\x34\x81\x90\0\1\0\1\0\0\0\1" NAME_A
                      "\xc0\x0c\0\1\0\1\0\0\0\x0a\0\4\xc6\x13\xff\xfe"
                      "\0\0\x29\x02\0\0\0\0\0\0\0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_read),
        cmocka_unit_test(what_no_host_is_called_is_no_host),
        cmocka_unit_test(what_is_no_question_is_refused),
        cmocka_unit_test(the_longest_name_is_taken_and_no_longer_one),
        cmocka_unit_test(answers_are_as_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

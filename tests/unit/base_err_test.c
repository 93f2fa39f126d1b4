/* SPDX-License-Identifier: MIT */
/*
 * base_err_test.c -- error values: their kinds, their texts, and their size.
 */
#include "base/err.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "harness/harness.h"

static void assert_text(tn_err err, const char *expected)
{
    char text[256];

    assert_string_equal(tn_err_text(err, text, sizeof(text)), expected);
}

TEST(an_error_is_eight_bytes_and_zero_is_success)
{
    tn_err zero = { 0 };

    assert_int_equal(sizeof(tn_err), 8);
    assert_false(tn_failed(zero));
    assert_ok(tn_ok());
    assert_ok(tn_err_errno(0));
    assert_text(tn_ok(), "success");
}

TEST(a_result_of_zero_or_more_is_no_error)
{
    assert_ok(err_from(ERR_READ, 0));
    assert_ok(err_from(ERR_READ, 4096));
    assert_int_equal(err_from(ERR_READ, 4096).op, 0);
}

TEST(the_time_kinds_tell_our_deadline_from_the_networks)
{
    assert_kind(err_from(ERR_READ, -ETIME), TN_DEADLINE);
    assert_kind(err_from(ERR_READ, -ETIMEDOUT), TN_TIMEDOUT);
}

TEST(an_error_text_names_the_call_the_kind_and_the_number)
{
    assert_text(err_from(ERR_DIAL, -ECONNREFUSED), "connect: connection refused");
    assert_text(err_from(ERR_WRITE, -EPIPE), "write: reset by peer (Broken pipe)");
    assert_text(tn_err_errno(ENOSPC), "limit reached (No space left on device)");
    assert_text(err_make(ERR_GO, TN_LIMIT), "go: limit reached");
}

TEST(an_errno_that_no_kind_stands_for_keeps_its_number)
{
    tn_err err = tn_err_errno(EXDEV);

    assert_kind(err, TN_SYSTEM);
    assert_int_equal(err.code, EXDEV);
    assert_int_equal(err.domain, TN_DOMAIN_ERRNO);
    assert_text(err, "system error (Invalid cross-device link)");
}

TEST(an_errno_may_be_given_with_either_sign)
{
    assert_int_equal(tn_err_errno(-ENOENT).code, ENOENT);
    assert_kind(tn_err_errno(-ENOENT), TN_NOT_FOUND);
}

TEST(a_failed_lookup_keeps_the_number_of_getaddrinfo)
{
    tn_err err = err_gai(EAI_NONAME);

    assert_kind(err, TN_NOT_FOUND);
    assert_int_equal(err.domain, TN_DOMAIN_GAI);
    assert_text(err, "resolve: Name or service not known");
    assert_kind(err_gai(EAI_AGAIN), TN_UNREACHABLE);
    assert_kind(err_gai(EAI_MEMORY), TN_LIMIT);
}

TEST(a_programs_own_error_keeps_its_code)
{
    tn_err err = tn_err_user(TN_PROTOCOL, 42);

    assert_kind(err, TN_PROTOCOL);
    assert_int_equal(err.code, 42);
    assert_text(err, "protocol error (code 42)");
}

TEST(a_text_is_cut_to_its_buffer_and_ended)
{
    char text[8];

    memset(text, 'x', sizeof(text));
    tn_err_text(err_from(ERR_DIAL, -ECONNREFUSED), text, 5);
    assert_string_equal(text, "conn");
    assert_int_equal(text[5], 'x');
    tn_err_text(err_from(ERR_DIAL, -ECONNREFUSED), text, 0);
    assert_string_equal(text, "conn");
}

TEST(every_kind_has_a_name_and_a_strange_one_a_question_mark)
{
    for (unsigned kind = 0; kind < TN_KIND_COUNT; kind++)
        assert_non_null(tn_err_kind_name(kind));
    assert_string_equal(tn_err_kind_name(TN_RESET), "RESET");
    assert_string_equal(tn_err_kind_name(TN_KIND_COUNT), "?");
    assert_string_equal(tn_err_kind_name(9999), "?");
}

TEST(every_call_has_a_name_and_a_strange_one_none)
{
    tn_err err = { TN_RESET, TN_DOMAIN_NONE, ERR_OP_COUNT, 0 };

    for (unsigned op = 1; op < ERR_OP_COUNT; op++)
        assert_true(strlen(tn_err_op(err_make((enum err_op)op, TN_LIMIT))) > 0);
    assert_string_equal(tn_err_op(err), "");
    assert_text(err, "reset by peer");
}

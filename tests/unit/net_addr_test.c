/* SPDX-License-Identifier: MIT */
/*
 * net_addr_test.c -- addresses: text to value, value to text, and names.
 *
 * getaddrinfo is the C library's; nothing here needs a name server.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "harness/harness.h"

static tn_addr parsed(const char *text)
{
    tn_addr addr;

    assert_ok(tn_addr_parse(text, &addr));
    return addr;
}

static void assert_text(const tn_addr *addr, const char *expected)
{
    char text[TN_ADDR_TEXT];

    assert_string_equal(tn_addr_text(addr, text, sizeof(text)), expected);
}

/* TEXT is an address, and EXPECTED is how it is printed. */
static void assert_prints(const char *text, const char *expected)
{
    tn_addr addr = parsed(text);
    tn_addr again = parsed(expected);

    assert_ok(tn_addr_check(text, NULL));
    assert_text(&addr, expected);
    assert_true(tn_addr_same(&addr, &again));
}

TEST(numeric_addresses_are_read_and_printed_alike)
{
    assert_prints("127.0.0.1:80", "127.0.0.1:80");
    assert_prints("0.0.0.0:0", "0.0.0.0:0");
    assert_prints("255.255.255.255:65535", "255.255.255.255:65535");
    assert_prints("tcp://127.0.0.1:80", "127.0.0.1:80");
    assert_prints("[::1]:80", "[::1]:80");
    assert_prints("tcp://[::1]:80", "[::1]:80");
    assert_prints("[0:0:0:0:0:0:0:1]:1", "[::1]:1");
    assert_prints("[2001:DB8::1]:443", "[2001:db8::1]:443");
    assert_prints("[::ffff:1.2.3.4]:5", "[::ffff:1.2.3.4]:5");
    assert_prints(":8080", "[::]:8080");
    assert_prints("tcp://:8080", "[::]:8080");
    assert_prints("[::]:0", "[::]:0");
}

TEST(the_value_is_what_the_kernel_wants)
{
    tn_addr addr = parsed("1.2.3.4:0513");
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    assert_int_equal(addr.size, sizeof(in));
    memcpy(&in, addr.as.bytes, sizeof(in));
    assert_int_equal(in.sin_family, AF_INET);
    assert_int_equal(ntohs(in.sin_port), 513); /* a leading zero is decimal */
    assert_int_equal(ntohl(in.sin_addr.s_addr), 0x01020304);
    addr = parsed("[fe80::2]:7");
    assert_int_equal(addr.size, sizeof(in6));
    memcpy(&in6, addr.as.bytes, sizeof(in6));
    assert_int_equal(in6.sin6_family, AF_INET6);
    assert_int_equal(ntohs(in6.sin6_port), 7);
    assert_int_equal(in6.sin6_scope_id, 0);
    assert_int_equal(tn_addr_port(&addr), 7);
}

TEST(zones_are_names_or_numbers_of_interfaces)
{
    tn_addr addr = parsed("[fe80::1%lo]:22");
    struct sockaddr_in6 in6;

    memcpy(&in6, addr.as.bytes, sizeof(in6));
    assert_int_equal(in6.sin6_scope_id, if_nametoindex("lo"));
    assert_text(&addr, "[fe80::1%lo]:22");
    addr = parsed("[fe80::1%77777]:22"); /* no such interface: it stays a number */
    memcpy(&in6, addr.as.bytes, sizeof(in6));
    assert_int_equal(in6.sin6_scope_id, 77777);
    assert_text(&addr, "[fe80::1%77777]:22");
}

TEST(a_zone_that_names_no_interface_is_not_found)
{
    static const char *const texts[] = {
        "[fe80::1%nosuch0]:22", "[fe80::1%]:22",   "[fe80::1%0]:22",
        "[fe80::1%1x]:22",      "[fe80::1%-1]:22", "[fe80::1%4294967296]:22"
    };
    tn_addr addr;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        memset(&addr, 7, sizeof(addr));
        assert_kind(tn_addr_parse(texts[i], &addr), TN_NOT_FOUND);
        assert_int_equal(addr.size, 0x07070707); /* as it was */
    }
}

TEST(unix_addresses_are_paths_or_abstract_names)
{
    tn_addr addr = parsed("unix:/run/x.sock");
    struct sockaddr_un sun;

    assert_prints("unix:/run/x.sock", "unix:/run/x.sock");
    assert_prints("/run/x.sock", "unix:/run/x.sock");
    assert_prints("./x", "unix:./x");
    assert_prints("unix:x", "unix:x");
    assert_prints("unix:@name", "unix:@name");
    assert_prints("unix:a:b]c%d", "unix:a:b]c%d");
    memset(&sun, 7, sizeof(sun));
    memcpy(&sun, addr.as.bytes, addr.size);
    assert_int_equal(sun.sun_family, AF_UNIX);
    assert_string_equal(sun.sun_path, "/run/x.sock");
    addr = parsed("unix:@name");
    memcpy(&sun, addr.as.bytes, addr.size);
    assert_int_equal(sun.sun_path[0], 0);
    assert_memory_equal(sun.sun_path + 1, "name", 4);
    assert_int_equal(addr.size, offsetof(struct sockaddr_un, sun_path) + 5);
    assert_int_equal(tn_addr_port(&addr), 0);
}

TEST(a_unix_path_has_at_most_107_bytes)
{
    char text[128] = "unix:/";
    const char *why = NULL;
    tn_addr addr;

    memset(text + 6, 'p', 106);
    text[5 + 107] = '\0';
    assert_prints(text, text);
    text[5] = '@';
    assert_prints(text, text);
    text[5 + 107] = 'p';
    text[5 + 108] = '\0';
    for (int i = 0; i < 2; i++) {
        text[5] = i == 0 ? '@' : '/';
        assert_kind(tn_addr_parse(text, &addr), TN_INVALID);
        assert_kind(tn_addr_check(text, &why), TN_INVALID);
        assert_non_null(strstr(why, "107"));
    }
}

/* The kernel may hand out 108 bytes without a NUL (unix(7)), and names of any bytes. */
TEST(unix_addresses_of_the_kernel_are_printed_whole)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    struct sockaddr_storage longer;
    char expected[128] = "unix:";
    tn_addr addr;

    memset(sun.sun_path, 'k', sizeof(sun.sun_path));
    memset(expected + 5, 'k', sizeof(sun.sun_path));
    memset(&longer, 'x', sizeof(longer));
    memcpy(&longer, &sun, sizeof(sun));
    addr = tn_addr_from((struct sockaddr *)&sun, sizeof(sun));
    assert_text(&addr, expected);
    addr = tn_addr_from((struct sockaddr *)&longer, sizeof(sun) + 1); /* getpeername(2) */
    assert_text(&addr, expected);
    addr = tn_addr_from((struct sockaddr *)&sun, sizeof(sa_family_t)); /* unnamed */
    assert_text(&addr, "unix:");
    sun.sun_path[0] = '\0';
    expected[5] = '@';
    addr = tn_addr_from((struct sockaddr *)&sun, sizeof(sun));
    assert_text(&addr, expected);
}

TEST(the_same_path_is_the_same_address_however_long_it_is_stored)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    size_t room = offsetof(struct sockaddr_un, sun_path);
    tn_addr one, other;

    snprintf(sun.sun_path, sizeof(sun.sun_path), "/tmp/a");
    one = tn_addr_from((struct sockaddr *)&sun, sizeof(sun));
    other = tn_addr_from((struct sockaddr *)&sun, room + strlen(sun.sun_path) + 1);
    assert_true(tn_addr_same(&one, &other));
    other = parsed("/tmp/a");
    assert_true(tn_addr_same(&one, &other));
    other = parsed("/tmp/ab");
    assert_false(tn_addr_same(&one, &other));
    one = parsed("unix:@n");
    other = parsed("unix:@nn");
    assert_false(tn_addr_same(&one, &other));
}

TEST(addresses_differ_by_number_port_and_zone)
{
    tn_addr one = parsed("127.0.0.1:1"), other = parsed("127.0.0.1:1");
    struct sockaddr_in in;

    assert_true(tn_addr_same(&one, &other));
    memcpy(&in, other.as.bytes, sizeof(in));
    memset(in.sin_zero, 1, sizeof(in.sin_zero)); /* means nothing */
    other = tn_addr_from((struct sockaddr *)&in, sizeof(in));
    assert_true(tn_addr_same(&one, &other));
    other = parsed("127.0.0.1:2");
    assert_false(tn_addr_same(&one, &other));
    other = parsed("127.0.0.2:1");
    assert_false(tn_addr_same(&one, &other));
    other = parsed("[::1]:1");
    assert_false(tn_addr_same(&one, &other));
    one = parsed("[fe80::1%1]:1");
    other = parsed("[fe80::1%2]:1");
    assert_false(tn_addr_same(&one, &other));
    other = parsed("[fe80::1%1]:1");
    assert_true(tn_addr_same(&one, &other));
}

static const char *const malformed[] = {
    "",
    "host",
    "127.0.0.1",
    "127.0.0.1:",
    "host:",
    "[::1]",
    "[::1]80",
    "[::1]:",
    "[]:80",
    "[::1:80",
    "::1:80",
    "fe80::1:80",
    "http://x:80",
    "udp://x:80",
    "tcp://",
    "tcp://x",
    "tcp:///x",
    "tcp://x:80/",
    "unix:",
    "unix:@",
    "x:65536",
    "x:99999",
    "x:-1",
    "x:-80",
    "x:+80",
    "x: 80",
    "x:80 ",
    "x:8,0",
    "x:--",
    "x:_",
    "x:4294967376",
    "x:18446744073709551696",
    "[x]:80",
    "x:99999999999999999999999",
    "[127.0.0.1]:80",
    "[localhost]:80",
    ":",
    "[::1%lo:80",
    "[::1]x:80",
    "a:b:80",
    "x:80:80",
    "[:::]:80",
    "[::g]:80",
    "[1:2:3]:80",
    "tcp://[::1]",
    "x y:80",
    "[::1% 1]:80",
    "x\n:80",
};

TEST(malformed_addresses_are_invalid_and_say_why)
{
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        const char *why = NULL;
        tn_addr addr = { 0 };

        if (tn_addr_check(malformed[i], &why).kind != TN_INVALID)
            fail_test("'%s' passes for an address", malformed[i]);
        assert_true(why != NULL && strlen(why) > 10);
        if (tn_addr_parse(malformed[i], &addr).kind != TN_INVALID)
            fail_test("'%s' is read as one", malformed[i]);
        assert_int_equal(addr.size, 0);
        assert_kind(tn_addr_check(malformed[i], NULL), TN_INVALID);
    }
}

TEST(overlong_parts_are_invalid_not_cut)
{
    static char text[70000];
    tn_addr addr;

    memset(text, 'h', sizeof(text) - 4);
    memcpy(text + sizeof(text) - 4, ":80", 4);
    assert_kind(tn_addr_check(text, NULL), TN_INVALID);
    memset(text, '0', sizeof(text) - 1); /* a port of 70,000 digits */
    text[0] = 'x';
    text[1] = ':';
    text[sizeof(text) - 2] = '8';
    assert_kind(tn_addr_check(text, NULL), TN_INVALID);
    memset(text, '[', 60000);
    assert_kind(tn_addr_parse(text, &addr), TN_INVALID);
}

TEST(names_are_well_formed_but_no_numbers)
{
    static const char *const texts[] = { "localhost:80", "a-b.example.:80",
                                         "x:http",       "127.0.0.1:http",
                                         "x:a-1",        "127.1:80",
                                         "1.2.3.4.5:80", "256.1.1.1:80",
                                         "x_y:3com",     "tcp://localhost:80" };
    tn_addr addr = { 0 };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_ok(tn_addr_check(texts[i], NULL));
        assert_kind(tn_addr_parse(texts[i], &addr), TN_NOT_FOUND);
        assert_int_equal(addr.size, 0);
    }
}

TEST(texts_are_cut_to_the_buffer_and_always_ended)
{
    tn_addr addr = parsed("127.0.0.1:8080");
    char text[10] = "xxxxxxxxx";

    assert_string_equal(tn_addr_text(&addr, text, 4), "127");
    assert_string_equal(text + 4, "xxxxx");
    tn_addr_text(&addr, text, 0);
    assert_string_equal(text, "127");
}

TEST(what_is_no_address_prints_as_a_question_mark)
{
    struct sockaddr odd = { .sa_family = AF_APPLETALK };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(80) };
    tn_addr none = { 0 };
    tn_addr addr;

    assert_text(&none, "?");
    assert_int_equal(tn_addr_port(&none), 0);
    addr = tn_addr_from(&odd, sizeof(odd));
    assert_text(&addr, "?");
    assert_int_equal(tn_addr_port(&addr), 0);
    addr = tn_addr_from((struct sockaddr *)&in, 4); /* cut off in the middle */
    assert_text(&addr, "?");
    assert_int_equal(tn_addr_port(&addr), 0);
    assert_true(tn_addr_same(&none, &none));
    assert_false(tn_addr_same(&none, &addr));
}

TEST(an_oversized_sockaddr_is_cut)
{
    char bytes[300];
    tn_addr addr;

    memset(bytes, 0, sizeof(bytes));
    addr = tn_addr_from((struct sockaddr *)bytes, sizeof(bytes));
    assert_int_equal(addr.size, sizeof(addr.as));
}

/* ---- names ---- */

TEST_IN_TASK(a_numeric_address_resolves_to_itself)
{
    tn_addr list[4];
    size_t count = 9;
    uint64_t before;
    struct tn_loop_facts facts;

    tn_loop_facts(NULL, &facts);
    before = facts.switches;
    assert_ok(tn_resolve("127.0.0.1:80", TN_ANY, list, 4, &count, TN_NOW));
    tn_loop_facts(NULL, &facts);
    assert_int_equal(facts.switches, before); /* no name: no parking */
    assert_int_equal(count, 1);
    assert_text(&list[0], "127.0.0.1:80");
    assert_ok(tn_resolve("unix:@x", TN_UNIX, list, 4, &count, TN_NOW));
    assert_text(&list[0], "unix:@x");
    assert_ok(tn_resolve("[::1]:9", TN_IPV6, list, 4, &count, TN_NOW));
    assert_text(&list[0], "[::1]:9");
}

TEST_IN_TASK(a_numeric_address_of_another_family_is_not_found)
{
    tn_addr list[4];
    size_t count = 9;

    assert_kind(tn_resolve("127.0.0.1:80", TN_IPV6, list, 4, &count, TN_NEVER),
                TN_NOT_FOUND);
    assert_kind(tn_resolve("[::1]:80", TN_IPV4, list, 4, &count, TN_NEVER), TN_NOT_FOUND);
    assert_kind(tn_resolve("[::1]:80", TN_UNIX, list, 4, &count, TN_NEVER), TN_NOT_FOUND);
    assert_kind(tn_resolve("unix:@x", TN_IPV4, list, 4, &count, TN_NEVER), TN_NOT_FOUND);
    assert_kind(tn_resolve("localhost:80", TN_UNIX, list, 4, &count, TN_NEVER),
                TN_NOT_FOUND);
    assert_int_equal(count, 9);
}

TEST_IN_TASK(without_a_host_it_is_this_one_by_the_families_wanted)
{
    tn_addr list[4];
    size_t count = 9;

    assert_ok(tn_resolve(":80", TN_ANY, list, 4, &count, TN_NEVER));
    assert_int_equal(count, 2);
    assert_text(&list[0], "[::1]:80");
    assert_text(&list[1], "127.0.0.1:80");
    assert_ok(tn_resolve("tcp://:80", TN_ANY, list, 1, &count, TN_NEVER));
    assert_int_equal(count, 1);
    assert_ok(tn_resolve(":80", TN_IPV4, list, 4, &count, TN_NEVER));
    assert_int_equal(count, 1);
    assert_text(&list[0], "127.0.0.1:80");
    assert_ok(tn_resolve(":80", TN_IPV6, list, 4, &count, TN_NEVER));
    assert_int_equal(count, 1);
    assert_text(&list[0], "[::1]:80");
    assert_kind(tn_resolve(":80", TN_UNIX, list, 4, &count, TN_NEVER), TN_NOT_FOUND);
}

TEST_IN_TASK(no_room_is_invalid)
{
    size_t count = 9;

    assert_kind(tn_resolve("127.0.0.1:1", TN_ANY, NULL, 0, &count, TN_NEVER), TN_INVALID);
    assert_kind(tn_resolve("localhost:1", TN_ANY, NULL, 0, &count, TN_NEVER), TN_INVALID);
    assert_int_equal(count, 9);
}

TEST_IN_TASK(localhost_resolves_to_loopback_addresses_with_the_port)
{
    tn_addr list[TN_ADDRS_MAX];
    size_t count = 0;

    assert_ok(tn_resolve("localhost:81", TN_ANY, list, TN_ADDRS_MAX, &count, TN_NEVER));
    assert_in_range(count, 1, TN_ADDRS_MAX);
    for (size_t i = 0; i < count; i++) {
        char text[TN_ADDR_TEXT];

        tn_addr_text(&list[i], text, sizeof(text));
        if (strncmp(text, "127.", 4) != 0 && strcmp(text, "[::1]:81") != 0)
            fail_test("localhost is %s", text);
        assert_int_equal(tn_addr_port(&list[i]), 81);
        for (size_t k = 0; k < i; k++) /* trying one twice helps nobody */
            assert_false(tn_addr_same(&list[k], &list[i]));
    }
    assert_ok(tn_resolve("localhost:81", TN_IPV4, list, 1, &count, TN_NEVER));
    assert_int_equal(count, 1);
    assert_int_equal(list[0].as.family, AF_INET);
}

TEST_IN_TASK(services_are_ports_by_name)
{
    tn_addr list[4];
    size_t count = 0;

    assert_ok(tn_resolve("127.0.0.1:http", TN_ANY, list, 4, &count, TN_NEVER));
    assert_int_equal(count, 1);
    assert_text(&list[0], "127.0.0.1:80");
    assert_ok(tn_resolve("[::1]:ssh", TN_ANY, list, 4, &count, TN_NEVER));
    assert_text(&list[0], "[::1]:22");
    assert_ok(tn_resolve(":http", TN_IPV6, list, 4, &count, TN_NEVER));
    assert_int_equal(count, 1);
    assert_text(&list[0], "[::1]:80");
    assert_ok(tn_resolve(":http", TN_IPV4, list, 4, &count, TN_NEVER));
    assert_text(&list[0], "127.0.0.1:80");
    count = 9;
    assert_kind(tn_resolve("127.0.0.1:nosuch", TN_ANY, list, 4, &count, TN_NEVER),
                TN_NOT_FOUND);
    assert_kind(tn_resolve("127.0.0.1:0x50", TN_ANY, list, 4, &count, TN_NEVER),
                TN_NOT_FOUND);
    assert_int_equal(count, 9);
}

TEST_IN_TASK(an_unknown_name_is_not_found)
{
    tn_addr list[4];
    size_t count = 9;
    tn_err err = tn_resolve("no-such-name.invalid:80", TN_ANY, list, 4, &count, TN_NEVER);
    char text[128];

    /* Without a name server the C library cannot know, and says so. */
    if (err.kind != TN_NOT_FOUND && err.kind != TN_UNREACHABLE)
        fail_test("%s", tn_err_text(err, text, sizeof(text)));
    assert_string_equal(tn_err_op(err), "resolve");
    assert_int_equal(err.domain, TN_DOMAIN_GAI);
    assert_int_equal(count, 9);
}

TEST_IN_TASK(a_malformed_address_is_invalid_without_a_lookup)
{
    tn_addr list[4];
    size_t count = 9;

    assert_kind(tn_resolve("127.0.0.1:-80", TN_ANY, list, 4, &count, TN_NOW), TN_INVALID);
    assert_kind(tn_resolve("x:65536", TN_ANY, list, 4, &count, TN_NOW), TN_INVALID);
    assert_kind(tn_resolve("", TN_ANY, list, 4, &count, TN_NOW), TN_INVALID);
    assert_int_equal(count, 9);
}

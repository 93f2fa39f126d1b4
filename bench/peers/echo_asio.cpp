// SPDX-License-Identifier: MIT
// Echo server: Boost.Asio with C++20 coroutines (epoll reactor, one thread).
#include <utility>
#include <boost/asio.hpp>
#include <vector>
#include "common.h"
namespace asio = boost::asio;
using asio::ip::tcp;

static opts o;

static asio::awaitable<void> serve(tcp::socket s)
{
    std::vector<char> buf(o.bufsize);
    try {
        for (;;) {
            std::size_t n = co_await s.async_read_some(asio::buffer(buf), asio::use_awaitable);
            co_await asio::async_write(s, asio::buffer(buf.data(), n), asio::use_awaitable);
        }
    } catch (std::exception &) {
    }
}

static asio::awaitable<void> accept_loop(tcp::acceptor a)
{
    for (;;) {
        tcp::socket s = co_await a.async_accept(asio::use_awaitable);
        asio::co_spawn(s.get_executor(), serve(std::move(s)), asio::detached);
    }
}

int main(int argc, char **argv)
{
    o = parse_opts(argc, argv);
    pin(o.cpu);
    asio::io_context io(1);
    tcp::acceptor a(io, tcp::v4(), listen_tcp(o.port, 0));
    asio::co_spawn(io, accept_loop(std::move(a)), asio::detached);
    io.run();
}

// SPDX-License-Identifier: MIT
// Echo server: Go net, a goroutine per connection.  GOMAXPROCS is set by -t.
package main

import (
	"flag"
	"fmt"
	"net"
	"runtime"
	"syscall"
	"unsafe"
)

func pin(cpu int) {
	var set [16]uint64
	set[cpu/64] |= 1 << (uint(cpu) % 64)
	syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
}

func main() {
	port := flag.Int("p", 7000, "port")
	cpu := flag.Int("c", 0, "cpu (used for the main thread; run under taskset to pin all)")
	threads := flag.Int("t", 1, "GOMAXPROCS")
	bufsize := flag.Int("b", 65536, "buffer size")
	flag.Int("n", 0, "ignored")
	flag.String("x", "", "ignored")
	flag.Parse()
	runtime.GOMAXPROCS(*threads)
	if *threads == 1 && *cpu >= 0 {
		pin(*cpu)
	}
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			continue
		}
		go func() {
			defer c.Close()
			buf := make([]byte, *bufsize)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				if _, err := c.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

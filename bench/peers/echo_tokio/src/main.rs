// SPDX-License-Identifier: MIT
// Echo server: Tokio, a task per connection, current-thread runtime for -t 1.
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() {
    let (mut port, mut cpu, mut threads, mut bufsize) = (7000u16, 0i32, 1usize, 65536usize);
    let args: Vec<String> = std::env::args().collect();
    for pair in args[1..].chunks(2) {
        match pair[0].as_str() {
            "-p" => port = pair[1].parse().unwrap(),
            "-c" => cpu = pair[1].parse().unwrap(),
            "-t" => threads = pair[1].parse().unwrap(),
            "-b" => bufsize = pair[1].parse().unwrap(),
            _ => {}
        }
    }
    if cpu >= 0 && threads == 1 {
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu as usize, &mut set);
            libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set);
        }
    }
    let rt = if threads == 1 {
        tokio::runtime::Builder::new_current_thread().enable_io().build()
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_io().build()
    }
    .unwrap();
    rt.block_on(async move {
        let l = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        loop {
            let Ok((mut s, _)) = l.accept().await else { continue };
            let _ = s.set_nodelay(true);
            tokio::spawn(async move {
                let mut buf = vec![0u8; bufsize];
                while let Ok(n) = s.read(&mut buf).await {
                    if n == 0 || s.write_all(&buf[..n]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
}

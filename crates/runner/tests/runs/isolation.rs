//! What a step cannot see or reach.

use std::io::Write;
use std::net::TcpListener;

use aldis_domain::config::Network;
use aldis_domain::report::Outcome;

use crate::support::{Bench, Repo, assignment, stack, step};

#[tokio::test]
async fn the_machine_is_hidden() {
    let mut bench = Bench::new().await;
    let data = bench.work_dir.display().to_string();
    let script = format!(
        "for p in /root /sys {data} {data}/mirrors /etc/shadow /etc/ssl/private /home/other /run/docker.sock; do
           test -e $p && echo sees $p
         done
         touch /usr/x /etc/x /x /dev/x /run/aldis/objects/x 2>/dev/null && echo writes
         ls /proc | grep -c '^[0-9]'; cat /proc/1/comm; whoami; hostname
         grep CapBnd /proc/self/status; env | grep -i -e token -e git"
    );
    bench.script(&(script + " || true")).await;
    let output = bench.queue.step_output(0);
    let shown: Vec<&str> = output.lines().skip(2).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    bwrap
    aldis
    aldis
    CapBnd:	0000000000000000
    ");
    let processes: u32 = output.lines().nth(1).unwrap().parse().unwrap();
    assert!(processes <= 5, "{output}");
}

#[tokio::test]
async fn no_file_of_the_runner_stays_open_in_a_step() {
    // What the test itself was started with, it hands down; the runner says so in a remark.
    let inherited: Vec<String> = std::fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .flatten()
        .filter(|entry| {
            let info = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("0");
            i64::from_str_radix(flags.trim(), 8).unwrap() & 0o2_000_000 == 0
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let mut bench = Bench::new().await;
    let (_, report) = bench.script("ls /proc/self/fd").await;
    let output = bench.queue.step_output(0);
    // Number 3 is the directory that `ls` reads.
    let foreign: Vec<&str> = output
        .lines()
        .skip(1)
        .filter(|fd| !["0", "1", "2", "3"].contains(fd))
        .filter(|fd| !inherited.iter().any(|own| own == fd))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?} of {output}");
    let strays = inherited.iter().any(|fd| !["0", "1", "2"].contains(&fd.as_str()));
    assert_eq!(report.machine.iter().any(|r| r.contains("inherited open files")), strays);
}

#[tokio::test]
async fn user_namespaces_end_at_the_sandbox() {
    let mut bench = Bench::new().await;
    bench.script("unshare --user true 2>/dev/null && echo nested || echo refused").await;
    assert!(bench.queue.output().contains("refused"), "{}", bench.queue.output());
}

/// Answers one connection with a word.
fn listener() -> (u16, std::thread::JoinHandle<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut byte = [0; 1];
        let is_test =
            std::io::Read::read(&mut stream, &mut byte).unwrap_or(0) == 1 && byte == *b"!";
        let _ = stream.write_all(b"reached");
        is_test
    });
    (port, thread)
}

const KNOCK: &str = "import socket, sys
for host in sys.argv[2:]:
    try:
        s = socket.create_connection((host, int(sys.argv[1])), 2); s.send(b'x'); print('reached', host)
    except OSError as e:
        print('no', host)
import os
print(sorted(os.listdir('/sys/class/net')) if os.path.exists('/sys') else 'no sys')
print('routes', len(open('/proc/net/route').readlines()) - 1)";

#[tokio::test]
async fn the_hosts_loopback_is_out_of_reach_with_and_without_network() {
    let (port, accepted) = listener();
    let repo = Repo::new(&[("knock.py", KNOCK)]);
    let mut bench = Bench::new().await;
    let script = format!("python3 knock.py {port} 127.0.0.1 10.0.2.2; cat /etc/resolv.conf");
    for (network, untrusted, resolver, routes) in [
        (Network::Default, false, "nameserver 10.0.2.3", "routes 2"),
        (Network::Default, true, "", "routes 0"),
        (Network::None, false, "", "routes 0"),
    ] {
        let mut wanted = stack(vec![step("knock", &script)]);
        wanted.network = network;
        let mut job = assignment(&repo, wanted);
        job.untrusted = untrusted;
        let before = bench.queue.output().len();
        let (outcome, report) = bench.run(job).await;
        let output = bench.queue.output()[before..].to_owned();
        assert_eq!(outcome, Outcome::Passed, "{report:?} {output}");
        assert!(output.contains("no 127.0.0.1\nno 10.0.2.2\n"), "{output}");
        assert!(output.contains(routes) && output.contains(resolver), "{output}");
        assert_eq!(output.contains("nameserver"), !resolver.is_empty());
    }
    assert!(!accepted.is_finished(), "nobody knocked");
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap().write_all(b"!").unwrap();
    assert!(accepted.join().unwrap());
}

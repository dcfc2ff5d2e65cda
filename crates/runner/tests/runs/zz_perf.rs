use crate::support::{Bench, Repo, assignment, stack, step};
use aldis_domain::config::Network;
use std::time::{Duration, Instant};
fn med(mut v: Vec<Duration>) -> (Duration, Duration, Duration) { v.sort(); (v[0], v[v.len()/2], v[v.len()-1]) }
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perf() {
    let repo = Repo::new(&[("a","1\n"),("b/c","2\n")]);
    let mut bench = Bench::new().await;
    for (name, net, fresh) in [("present,nonet", Network::None, false), ("present,net", Network::Default, false), ("fetch,net", Network::Default, true)] {
        let mut times = vec![]; let mut floor = vec![]; let mut rt=vec![]; let mut bw=vec![];
        for i in 0..30 {
            if fresh { repo.commit(&[("a", &format!("{i}x\n"))]); }
            let mut w = stack(vec![step("x","true")]); w.network = net;
            bench.slot.warm_up().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let t = Instant::now();
            bench.run(assignment(&repo, w)).await;
            times.push(t.elapsed());
            let m = bench.work_dir.join("mirrors/1.42.git");
            let d = tempfile::tempdir().unwrap();
            let t = Instant::now();
            let mut f = Duration::ZERO;
            if fresh { repo.commit(&[("a", &format!("{i}y\n"))]); let t = Instant::now(); assert!(std::process::Command::new("git").args(["--git-dir"]).arg(&m).args(["fetch","-q","--no-tags","--no-write-fetch-head",&repo.url(),repo.head().as_str()]).status().unwrap().success()); f = t.elapsed(); }
            let _ = t; let t = Instant::now();
            assert!(std::process::Command::new("git").args(["--git-dir"]).arg(&m).args(["--work-tree"]).arg(d.path()).args(["read-tree","-u","--reset",repo.head().as_str()]).env("GIT_INDEX_FILE", d.path().join("index")).status().unwrap().success());
            let r = t.elapsed(); rt.push(r);
            let t = Instant::now();
            assert!(std::process::Command::new("bwrap").args(["--unshare-all","--die-with-parent","--ro-bind","/","/","--proc","/proc","--dev","/dev","true"]).status().unwrap().success());
            let b = t.elapsed(); bw.push(b);
            floor.push(f + r + b);
        }
        println!("{name}: run {:?} floor {:?} readtree {:?} bwrap {:?}", med(times), med(floor), med(rt), med(bw));
    }
}

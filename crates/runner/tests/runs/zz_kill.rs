use crate::support::{Bench, Repo, assignment, stack, step};
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zz_kill() {
    let repo = Repo::new(&[("a","1\n")]);
    let mut bench = Bench::with(|s| s.data_dir = "/root/aldis-x".into()).await;
    println!("work dir {}", bench.work_dir.display());
    let mut w = stack(vec![step("x","cat a; (setsid sleep 33.5 &); sleep 33.5")]);
    w.network = aldis_domain::config::Network::Default;
    bench.run(assignment(&repo, w)).await;
}

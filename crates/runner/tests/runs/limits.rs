//! What a run cannot use up.

use aldis_domain::report::Outcome;

use crate::support::{Bench, is_running};

#[tokio::test]
async fn a_fork_bomb_is_contained() {
    let mut bench = Bench::with(|settings| settings.limits.processes = 60).await;
    let bomb = "bomb() { bomb | bomb & sleep 30.625; }; (bomb) 2>/dev/null & sleep 0.5; exit 4";
    let (outcome, report) = bench.script(bomb).await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(!is_running("30.625"));
    if bench.limits.starts_with("cgroup") {
        let told = report.remarks.iter().any(|r| r == "the run reached its limit of 60 processes");
        assert!(told, "{:?}", report.remarks);
    }
}

#[tokio::test]
async fn memory_is_limited() {
    let mut bench = Bench::with(|settings| settings.limits.memory = 64 << 20).await;
    let hungry = "python3 -c 'x = bytearray(400 << 20); print(len(x))'; echo survived";
    let (outcome, report) = bench.script(hungry).await;
    assert_eq!(outcome, Outcome::Failed, "{}", bench.queue.output());
    assert!(!bench.queue.output().contains("survived"), "{}", bench.queue.output());
    if bench.limits.starts_with("cgroup") {
        let words = "a process was killed: the run used more than 64 MiB of memory";
        assert!(report.remarks.iter().any(|r| r == words), "{:?}", report.remarks);
    }
}

#[tokio::test]
async fn disk_is_limited() {
    let mut bench = Bench::with(|settings| settings.limits.disk = 20 << 20).await;
    let greedy =
        "i=0; while :; do head -c 4000000 /dev/zero >/tmp/f$i; i=$((i+1)); sleep 0.05; done";
    let (outcome, report) = bench.script(greedy).await;
    assert_eq!(outcome, Outcome::Failed);
    let words = "the run was ended: its files take more than 20 MiB";
    assert!(report.remarks.iter().any(|r| r == words), "{:?}", report.remarks);
    assert_eq!(bench.run_dirs(), 0);
}

#[tokio::test]
async fn one_file_cannot_pass_the_disk_limit() {
    let mut bench = Bench::with(|settings| settings.limits.disk = 5 << 20).await;
    let (outcome, _) = bench.script("head -c 9000000 /dev/zero >big; echo written").await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(!bench.queue.output().contains("written"));
}

#[tokio::test]
async fn a_gigabyte_of_output_ends_soon_and_is_cut() {
    let mut bench = Bench::with(|settings| settings.limits.output = 2 << 20).await;
    let (outcome, report) =
        bench.script("yes 0123456789abcde | head -c 1000000000; echo; echo end").await;
    assert_eq!(outcome, Outcome::Passed);
    let output = bench.queue.output();
    assert!(output.len() < (2 << 20) + 1000 && output.ends_with("\nend\n"));
    assert!(report.tail.ends_with("\nend"));
    assert!(
        report.remarks.iter().any(|r| r.ends_with("from the middle of the output were left out"))
    );
}

//! Disks that are full.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use aldis_domain::config::{Step, When};
use aldis_domain::report::Outcome;
use aldis_protocol::Assignment;
use aldis_runner::Turn;
use aldis_test_servers::small_disk;
use rustix::fs::IFlags;

use crate::support::{Bench, PATIENCE, Repo, assignment, stack, step};

const MEBIBYTE: usize = 1 << 20;
/// How large the disk is.
const MEBIBYTES: usize = 160;

async fn on_disk(disk: &Path) -> Bench {
    Bench::with(|settings| disk.clone_into(&mut settings.data_dir)).await
}

/// Takes so many bytes of the disk.
fn fill(disk: &Path, bytes: usize) {
    let mut file = File::create(disk.join("filler")).unwrap();
    file.write_all(&vec![7; bytes]).unwrap();
}

/// What a turn with this assignment comes to.
async fn turn(bench: &mut Bench, assignment: &Assignment) -> Turn {
    bench.queue.add(assignment.clone());
    let stop = bench.stop.subscribe();
    tokio::time::timeout(PATIENCE, bench.slot.step(&stop)).await.unwrap().unwrap()
}

#[tokio::test]
async fn without_room_no_run_is_taken() {
    let Some(disk) = small_disk("room::without_room_no_run_is_taken", MEBIBYTES) else { return };
    let repo = Repo::new(&[("README", "hello\n")]);
    let job = assignment(&repo, stack(vec![step("only", "true")]));
    let mut bench = on_disk(&disk).await;
    fill(&disk, 120 * MEBIBYTE);
    let stop = bench.stop.subscribe();
    assert_eq!(bench.slot.step(&stop).await, Ok(Turn::NoRoom));
    fs::remove_file(disk.join("filler")).unwrap();
    let (outcome, _) = bench.run(job).await;
    assert_eq!(outcome, Outcome::Passed);
}

#[tokio::test]
async fn what_finds_no_room_goes_to_another_runner_once() {
    let name = "room::what_finds_no_room_goes_to_another_runner_once";
    let Some(disk) = small_disk(name, MEBIBYTES) else { return };
    let repo = Repo::new(&[("README", "hello\n")]);
    // Nothing makes it smaller, and it would be there twice: in the mirror and in the work tree.
    let mut noise = vec![0; 90 * MEBIBYTE];
    File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
    fs::write(repo.dir.path().join("noise"), noise).unwrap();
    repo.commit(&[]);
    let mut job = assignment(&repo, stack(vec![step("only", "true")]));
    let mut bench = on_disk(&disk).await;
    fill(&disk, 80 * MEBIBYTE);
    assert_eq!(turn(&mut bench, &job).await, Turn::Ran);
    assert_eq!((bench.queue.handed_back(), bench.queue.finished().len()), (1, 0));
    assert_eq!(bench.run_dirs(), 0);
    let left = Command::new("find").arg(&bench.work_dir).args(["-name", "tmp_*"]).output();
    assert_eq!(left.unwrap().stdout, b"", "what could not be fetched is gone");

    // The fetch finds room now, and the work tree does not.
    fs::remove_file(disk.join("filler")).unwrap();
    let (outcome, report) = bench.run(job.clone()).await;
    assert_eq!(outcome, Outcome::Broken, "it is too big for this disk");
    assert!(report.trouble.unwrap().contains("No space left"));

    job.tracked = true;
    let (outcome, _) = bench.run(job).await;
    assert_eq!(outcome, Outcome::Broken, "nobody begins a deployment twice");
    assert_eq!(bench.queue.handed_back(), 1);
}

#[tokio::test]
async fn a_run_that_fills_the_disk_itself_is_over() {
    let Some(disk) = small_disk("room::a_run_that_fills_the_disk_itself_is_over", MEBIBYTES) else {
        return;
    };
    let repo = Repo::new(&[("README", "hello\n")]);
    let fill = step("fill", "cat /dev/zero > \"$HOME/all\" || exit 3");
    let after = Step { when: When::Always, ..step("after", "true") };
    let mut bench = on_disk(&disk).await;
    let (_, report) = bench.run(assignment(&repo, stack(vec![fill, after]))).await;
    assert_eq!(bench.queue.handed_back(), 0);
    assert!(report.remarks.iter().any(|remark| remark.contains("full")), "{report:?}");
}

#[tokio::test]
async fn runs_lie_far_from_each_other_on_a_disk_that_can_do_that() {
    let bench = Bench::new().await;
    let spread = IFlags::TOPDIR;
    let flags = |dir: &File| rustix::fs::ioctl_getflags(dir).unwrap_or(IFlags::empty());
    let another = bench.work_dir.join("another");
    fs::create_dir(&another).unwrap();
    let another = File::open(another).unwrap();
    let can = rustix::fs::ioctl_setflags(&another, flags(&another) | spread).is_ok();
    let runs = File::open(bench.work_dir.join("runs")).unwrap();
    assert_eq!(flags(&runs).contains(spread), can);
}

//! Runs of some minutes.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Each has the machine for itself.
static MACHINE: Mutex<()> = Mutex::new(());

#[test]
fn a_bit_of_everything_loses_doubles_and_leaves_nothing() {
    nothing_is_lost(&["--faults", "short", "--deliveries", "300", "--seed", "3"]);
}

#[test]
fn many_runs_at_once_end_once_each() {
    nothing_is_lost(&["--burst", "100"]);
}

fn nothing_is_lost(arguments: &[&str]) {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let chaos = Command::new(env!("CARGO_BIN_EXE_aldis-chaos"))
        .args(arguments)
        .output()
        .expect("the program was built for this test");
    let said = String::from_utf8_lossy(&chaos.stderr);
    assert!(chaos.status.success(), "{said}");
    assert!(said.contains("nothing lost, nothing doubled, nothing left undone"), "{said}");
}

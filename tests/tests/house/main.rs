//! The rules of the house, as tests: who may import whom, and how the sources look.
//! Every test lists all offenders at once. They only read; nothing here starts the bot.

mod compose;
mod edges;
mod graph;
mod readme;
mod sources;
mod texts;

use std::path::{Path, PathBuf};

/// The root of the workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the tests package lies in the workspace").to_path_buf()
}

/// Fails with the rule and every line that breaks it.
#[track_caller]
fn assert_none(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}\n  {}\n", offenders.join("\n  "));
}

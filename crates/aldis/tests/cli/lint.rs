//! `aldis lint`

use std::fs;

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Said, aldis};

fn lint(text: &[u8], args: &[&str]) -> Said {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".aldis.yml"), text).unwrap();
    aldis(dir.path(), &[&["lint"], args].concat(), &[])
}

const GOOD: &str = "version: 1
stacks:
  api:
    steps:
      - run: cargo test
";

const BAD: &str = "version: 1
stacks:
  api:
    step:
      - run: cargo test
    timeout: soon
";

#[test]
fn a_good_file_is_ok() {
    assert_snapshot!(lint(GOOD.as_bytes(), &[]).all(), @"
    .aldis.yml: ok, 1 stack
    exit 0
    ");
}

#[test]
fn each_finding_shows_its_line_and_place() {
    assert_snapshot!(lint(BAD.as_bytes(), &[]).all(), @r#"
    .aldis.yml:3:3: stacks.api: a stack without steps; say under `steps` what it runs
      3 |   api:
        |   ^
    .aldis.yml:4:5: stacks.api: unknown key "step"; did you mean "steps"?
      4 |     step:
        |     ^
    .aldis.yml:6:14: stacks.api.timeout: "soon" is no duration; write 90s, 20m or 1h30m
      6 |     timeout: soon
        |              ^
    .aldis.yml: 3 errors, nothing of it is used
    exit 1
    "#);
}

#[test]
fn programs_get_the_same_findings_as_json() {
    let said = lint(BAD.as_bytes(), &["--json"]);
    assert_eq!((said.code, said.err.as_str()), (1, ""));
    let findings = said.json();
    assert_eq!(findings[0]["severity"], "error");
    assert_eq!((&findings[0]["line"], &findings[0]["column"]), (&json!(3), &json!(3)));
    let good = lint(GOOD.as_bytes(), &["--json"]);
    assert_eq!((good.code, good.json()), (0, json!([])));
}

#[test]
fn a_warning_keeps_the_file_usable() {
    assert_snapshot!(lint(WARNED.as_bytes(), &[]).all(), @"
    .aldis.yml:7:14: warning: status.aggregate: nothing blocks merging before the stacks to run are known; keep it if pipelines must succeed
      7 |   aggregate: false
        |              ^
    .aldis.yml: can be used, 1 stack, 1 warning
    exit 0
    ");
}

const WARNED: &str = "version: 1
stacks:
  api:
    steps:
      - run: cargo test
status:
  aggregate: false
";

#[test]
fn nothing_of_a_file_reaches_the_terminal_as_a_command() {
    let said = lint(b"version: 1\nstacks:\n  api: \"\x1b[31m\x07\"\n", &[]);
    assert_eq!(said.code, 1);
    assert!(!said.out.contains(['\u{1b}', '\u{7}']), "{said:?}");
}

#[test]
fn long_lines_are_cut_around_the_place() {
    let text =
        format!("version: 1\nstacks: {{ {}, wrong: 1 }}\n", "a: { steps: [x] }, ".repeat(80));
    let said = lint(text.as_bytes(), &[]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.lines().all(|line| line.chars().count() < 200), "{said:?}");
}

#[test]
fn a_file_that_is_none_is_told_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    let said = [
        aldis(dir.path(), &["lint"], &[]).all(),
        aldis(dir.path(), &["lint", "sub"], &[]).all(),
        lint("#".repeat(300 * 1024).as_bytes(), &[]).all(),
        lint(b"version: 1\n\xff", &[]).all(),
    ];
    assert_snapshot!(said.join("\n"), @"
    aldis: .aldis.yml: no such file; name the config file: `aldis lint FILE`
    exit 1
    aldis: sub: this is a directory; name the file in it: sub/.aldis.yml
    exit 1
    .aldis.yml:1:1: larger than 256 KiB
      1 | ####################################################################################################
        | ^
    .aldis.yml: 1 error, nothing of it is used
    exit 1
    .aldis.yml:2:1: not UTF-8 text
      2 | �
        | ^
    .aldis.yml: 1 error, nothing of it is used
    exit 1
    ");
}

//! How the sources look. What clippy can see is left to clippy; this is the rest.

use super::assert_none;
use super::texts::{self, Text};

const LONGEST_FILE: usize = 400;
const LONGEST_HEADER: usize = 8;

/// Names that say where something was put and not what it is.
const EMPTY_NAMES: [&str; 9] =
    ["util", "utils", "common", "helper", "helpers", "manager", "managers", "types", "misc"];

/// Marks of unfinished work, in two parts so that this line is not one.
const UNFINISHED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Words about how a text came to be, where only what it says matters. In two parts, as above.
const PROVENANCE: [&str; 7] = [
    concat!("language ", "model"),
    concat!("chat", "gpt"),
    concat!("co", "pilot"),
    concat!("as an ", "ai "),
    concat!("my ", "task"),
    concat!("the ", "brief"),
    concat!("col", "league"),
];

/// Beginnings of SQL statements. Keywords are upper case in ours.
const SQL: [&str; 6] =
    ["INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "ALTER TABLE ", "PRAGMA ", "sqlx::"];

fn rust_lines_that(break_it: impl Fn(&str) -> bool) -> Vec<String> {
    texts::rust().iter().flat_map(|text| text.lines_that(&break_it)).collect()
}

#[test]
fn no_shipped_file_is_longer_than_one_can_read_at_a_sitting() {
    let long = |text: &Text| {
        let lines = text.body.lines().count();
        (text.is_shipped() && lines > LONGEST_FILE).then(|| format!("{}: {lines} lines", text.path))
    };
    let offenders: Vec<String> = texts::rust().iter().filter_map(long).collect();
    assert_none("files of more than 400 lines; split them by meaning:", &offenders);
}

#[test]
fn modules_are_named_for_what_they_hold() {
    let texts = texts::rust();
    let offenders: Vec<String> = texts
        .iter()
        .filter(|text| text.path.split('/').any(is_an_empty_name))
        .map(|text| text.path.clone())
        .collect();
    assert_none("modules with a name that means nothing:", &offenders);

    let inline = rust_lines_that(|line| inline_module(line).is_some_and(is_an_empty_name));
    assert_none("inline modules with a name that means nothing:", &inline);
}

fn is_an_empty_name(part: &str) -> bool {
    EMPTY_NAMES.contains(&part.strip_suffix(".rs").unwrap_or(part))
}

/// The name in `mod name {` or `pub(crate) mod name {`.
fn inline_module(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("mod ")?;
    let is_declaration = before.trim().is_empty() || before.trim_start().starts_with("pub");
    let name = after.strip_suffix('{')?.trim_end();
    is_declaration.then_some(name)
}

#[test]
fn a_module_is_a_file_with_its_name() {
    let texts = texts::rust();
    let paths = texts.iter().map(|text| text.path.clone());
    let offenders: Vec<String> = paths.filter(|path| path.ends_with("/mod.rs")).collect();
    assert_none("modules without their name on the file (foo.rs, not foo/mod.rs):", &offenders);
}

#[test]
fn lints_are_excepted_with_a_reason_or_not_at_all() {
    assert_none("use `#[expect(lint, reason = \"...\")]`:", &rust_lines_that(is_an_allow));
}

fn is_an_allow(line: &str) -> bool {
    let line = line.trim_start();
    let is_attribute = line.starts_with("#[") || line.starts_with("#![");
    is_attribute && (line.contains("[allow(") || line.contains(" allow("))
}

#[test]
fn nothing_is_left_unfinished() {
    let texts = texts::all();
    let lines = |text: &Text| text.lines_that(is_unfinished);
    let offenders: Vec<String> = texts.iter().flat_map(lines).collect();
    assert_none("marks of unfinished work; finish it or write down the limit:", &offenders);
}

fn is_unfinished(line: &str) -> bool {
    UNFINISHED.iter().any(|mark| words(line).any(|word| word == *mark))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let root = super::root();
    let root = root.to_str().expect("the workspace lies at a path of UTF-8");
    let breaks = |line: &str| names_a_persons_home(line) || leads_into(root, line);
    let texts = texts::all();
    let lines = |text: &Text| text.lines_that(breaks);
    let offenders: Vec<String> = texts.iter().flat_map(lines).collect();
    assert_none("absolute paths of somebody's machine:", &offenders);
}

/// Only paths that go on into the checkout count: the checkout itself may lie at a path that means
/// something else as well, such as the home of a container's user.
fn leads_into(root: &str, line: &str) -> bool {
    let inside = ["/crates", "/docs", "/migrations", "/target", "/tests", "/xtask", "/Cargo."];
    line.split(root).skip(1).any(|rest| inside.iter().any(|part| rest.starts_with(part)))
}

/// A file in a home, other than in the one that a sandbox gives its steps.
fn names_a_persons_home(line: &str) -> bool {
    ["/home/", "/Users/"].iter().any(|homes| {
        line.split(homes).skip(1).filter_map(|rest| rest.split_once('/')).any(|(owner, _)| {
            let is_a_name = !owner.is_empty() && owner.chars().all(|c| c.is_ascii_alphanumeric());
            is_a_name && owner != "aldis"
        })
    })
}

#[test]
fn texts_speak_of_the_bot_and_not_of_their_writing() {
    let texts = texts::all();
    let lines = |text: &Text| text.lines_that(tells_its_provenance);
    let offenders: Vec<String> = texts.iter().flat_map(lines).collect();
    assert_none("words about how a text came to be:", &offenders);
}

fn tells_its_provenance(line: &str) -> bool {
    let line = line.to_lowercase();
    PROVENANCE.iter().any(|word| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(char::is_alphanumeric)
        })
    })
}

#[test]
fn sql_lives_in_the_store() {
    let texts = texts::rust();
    let elsewhere =
        texts.iter().filter(|text| text.is_shipped() && !text.path.starts_with("crates/store/"));
    let offenders: Vec<String> = elsewhere.flat_map(|text| text.lines_that(is_sql)).collect();
    assert_none("SQL outside crates/store:", &offenders);
}

fn is_sql(line: &str) -> bool {
    let line = line.trim_start();
    let selects = line.contains("SELECT ") && line.contains(" FROM ");
    !line.starts_with("//") && (selects || SQL.iter().any(|words| line.contains(words)))
}

#[test]
fn every_module_says_at_its_top_what_it_is_for() {
    let texts = texts::rust();
    let offenders: Vec<String> =
        texts.iter().filter(|text| text.is_shipped()).filter_map(header_fault).collect();
    assert_none("module headers (`//!`, 1 to 8 lines, first thing in the file):", &offenders);
}

fn header_fault(text: &Text) -> Option<String> {
    let lines = text.body.lines().take_while(|line| line.starts_with("//!")).count();
    match lines {
        0 => Some(format!("{}: no header", text.path)),
        1..=LONGEST_HEADER => None,
        _ => Some(format!("{}: {lines} lines", text.path)),
    }
}

/// The rules themselves: each must see what it is there for.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_name_is_seen_in_paths_and_modules() {
        let seen = ["utils.rs", "common", "manager.rs"].map(is_an_empty_name);
        assert_eq!(seen, [true; 3]);
        assert!(!is_an_empty_name("command.rs"));
        assert_eq!(inline_module("    pub(crate) mod types {"), Some("types"));
        assert_eq!(inline_module("// the mod types {"), None);
        assert_eq!(inline_module("mod types;"), None, "a file, seen by its path");
    }

    #[test]
    fn an_allow_is_seen_as_attribute_only() {
        assert!(is_an_allow("#![allow(dead_code)]"));
        assert!(is_an_allow("  #[cfg_attr(test, allow(dead_code))]"));
        assert!(!is_an_allow("fn allow(&self) {}") && !is_an_allow("#[expect(dead_code)]"));
    }

    #[test]
    fn unfinished_work_is_a_word_and_not_a_syllable() {
        let mark = UNFINISHED[0];
        assert!(is_unfinished(&format!("// {mark}: later")));
        assert!(!is_unfinished(&format!("MY{mark}LIST")));
    }

    #[test]
    fn a_home_is_somebodys_unless_it_is_the_sandboxs() {
        assert!(names_a_persons_home(concat!("see /ho", "me/jo/notes")));
        assert!(!names_a_persons_home("HOME=/home/aldis/"));
        assert!(!names_a_persons_home("no /home/other there, and nothing in /home/ itself"));
    }

    #[test]
    fn a_path_into_the_checkout_is_seen_but_not_the_checkouts_own_path() {
        assert!(leads_into("/srv/checkout", "see /srv/checkout/docs/README.md"));
        assert!(!leads_into("/srv/checkout", "HOME=/srv/checkout"));
        assert!(!leads_into("/src", "crates/domain/src/run.rs"));
    }

    #[test]
    fn provenance_is_seen_in_any_case_but_not_inside_words() {
        assert!(tells_its_provenance(&format!("By {}", PROVENANCE[1].to_uppercase())));
        assert!(!tells_its_provenance(&format!("a{}", PROVENANCE[2])));
    }

    #[test]
    fn sql_is_seen_in_code_and_not_in_comments() {
        assert!(is_sql("    \"SELECT body FROM events\","));
        assert!(is_sql("sqlx::query(text)"));
        assert!(!is_sql("// never DELETE FROM events") && !is_sql("select the stacks"));
    }

    #[test]
    fn a_header_has_one_to_eight_lines() {
        let fault = |body: &str| header_fault(&Text { path: "x.rs".into(), body: body.into() });
        assert_eq!(fault("use a;"), Some("x.rs: no header".into()));
        assert_eq!(fault("//! One.\nuse a;"), None);
        assert_eq!(fault(&"//! Line.\n".repeat(9)), Some("x.rs: 9 lines".into()));
    }
}

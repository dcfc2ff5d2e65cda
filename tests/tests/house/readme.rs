//! What the documents show must be true: their config files are read as Aldis reads them, their
//! links lead somewhere, and the tests they name exist.

use super::assert_none;
use super::texts::{self, Text};
use std::path::Path;

fn documents() -> Vec<Text> {
    let is_document = |text: &Text| {
        text.is_a("md") && (text.path.starts_with("docs/") || !text.path.contains('/'))
    };
    texts::all().into_iter().filter(is_document).collect()
}

#[test]
fn every_config_file_that_is_shown_can_be_read() {
    let documents = documents();
    let blocks: Vec<(&str, String)> = documents
        .iter()
        .flat_map(|text| fenced("yaml", &text.body).map(|body| (text.path.as_str(), body)))
        .filter(|(_, body)| body.starts_with("version:"))
        .collect();
    assert!(blocks.iter().any(|(path, _)| *path == "README.md"), "the README shows one");
    let fault = |(path, body): &(&str, String)| {
        let findings = match aldis_domain::config::read(body.as_bytes()) {
            Ok((_, warnings)) => warnings,
            Err(errors) => errors,
        };
        (!findings.is_empty()).then(|| format!("{path}: {findings:?} in\n{body}"))
    };
    let offenders: Vec<String> = blocks.iter().filter_map(fault).collect();
    assert_none("config files with errors or warnings:", &offenders);
}

/// The insides of the fenced blocks of a language.
fn fenced(language: &str, body: &str) -> impl Iterator<Item = String> {
    let opening = format!("```{language}\n");
    let blocks: Vec<String> = body
        .split(opening.as_str())
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```").map(|(inside, _)| format!("{inside}\n")))
        .collect();
    blocks.into_iter()
}

#[test]
fn every_link_inside_the_repository_leads_somewhere() {
    let root = super::root();
    let mut offenders = Vec::new();
    for text in documents() {
        let here = root.join(&text.path);
        let folder = here.parent().expect("a file lies in a folder");
        for target in links(&text.body).filter(|target| !target.contains("://")) {
            let path = target.split('#').next().unwrap_or_default();
            if !folder.join(Path::new(path)).exists() {
                offenders.push(format!("{}: {target}", text.path));
            }
        }
    }
    assert_none("links that lead nowhere:", &offenders);
}

/// Targets of `[text](target)`.
fn links(body: &str) -> impl Iterator<Item = &str> {
    body.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

#[test]
fn every_test_that_is_named_exists() {
    let root = super::root();
    let mut offenders = Vec::new();
    let mut named = 0;
    for text in documents() {
        for (path, name) in named_tests(&text.body) {
            named += 1;
            let source = std::fs::read_to_string(root.join(path)).unwrap_or_default();
            if !source.contains(&format!("fn {name}(")) {
                offenders.push(format!("{}: {path}::{name}", text.path));
            }
        }
    }
    assert!(named > 0, "the documents name tests");
    assert_none("tests that documents name and that do not exist:", &offenders);
}

/// `path/to/file.rs::name` between backticks.
fn named_tests(body: &str) -> impl Iterator<Item = (&str, &str)> {
    body.split('`').filter_map(|code| {
        let (path, name) = code.split_once(".rs::")?;
        let is_name =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then(|| (&code[..path.len() + ".rs".len()], name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_links_are_found() {
        let body =
            "See [it](a.md) and [that](https://x.test/).\n\n```yaml\na: 1\n```\n\n```sh\nb\n```\n";
        assert_eq!(fenced("yaml", body).collect::<Vec<_>>(), ["a: 1\n"]);
        assert_eq!(links(body).collect::<Vec<_>>(), ["a.md", "https://x.test/"]);
        let body = "Shown by `tests/a.rs::it_holds`, not by `a.rs`, `b::c` or `d.rs::`.";
        assert_eq!(named_tests(body).collect::<Vec<_>>(), [("tests/a.rs", "it_holds")]);
    }
}

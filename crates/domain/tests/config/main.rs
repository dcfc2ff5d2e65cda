//! The config file: reading, findings, matching, and what hostile repositories may try.

mod matching;
mod reading;
mod safety;
mod values;

use aldis_domain::config::{Config, Finding, read};

fn good(text: &str) -> Config {
    match read(text.as_bytes()) {
        Ok((config, warnings)) if warnings.is_empty() => config,
        Ok((_, findings)) | Err(findings) => panic!("{}", lines(&findings)),
    }
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The findings of a file that cannot be used.
fn bad(text: &str) -> String {
    lines(&read(text.as_bytes()).expect_err("the file has an error"))
}

/// Findings of a file with one stack, whose other keys are right.
fn bad_stack(rest: &str) -> String {
    let rest = rest.replace('\n', "\n    ");
    bad(&format!("version: 1\nstacks:\n  api:\n    steps: [{{run: make}}]\n    {rest}"))
}

const WHOLE: &str = include_str!("whole.yml");

//! `aldis lint`: what the bot would say about a config file, before it is pushed.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read, Write, stdout};
use std::path::Path;

use aldis_domain::config::{Config, Finding, Severity, read};
use anyhow::{Context, Result, bail};

/// Bytes that are read at most; the reader refuses a file well below that, and says so.
const ENOUGH: u64 = 1 << 20;
/// Characters of a source line that are shown.
const WIDTH: usize = 100;
/// How many of them stand before the place that is meant, at most.
const BEFORE: usize = 60;

pub(super) fn run(path: &Path, json: bool) -> Result<u8> {
    let text = content(path)?;
    let (config, findings) = match read(&text) {
        Ok((config, warnings)) => (Some(config), warnings),
        Err(findings) => (None, findings),
    };
    let mut out = stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &findings)?;
        writeln!(out)?;
    } else {
        let shown = path.display().to_string();
        let text = String::from_utf8_lossy(&text);
        let colour = out.is_terminal();
        for finding in &findings {
            out.write_all(paragraph(&shown, finding, &text, colour).as_bytes())?;
        }
        writeln!(out, "{}", summary(&shown, config.as_ref(), &findings))?;
    }
    Ok(u8::from(config.is_none()))
}

fn content(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            anyhow::anyhow!("{shown}: no such file; name the config file: `aldis lint FILE`")
        }
        _ => anyhow::anyhow!("{shown}: cannot be opened: {error}"),
    })?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        bail!(
            "{shown}: this is a directory; name the file in it: {}",
            path.join(Finding::FILE).display()
        );
    }
    let mut text = Vec::new();
    file.take(ENOUGH).read_to_end(&mut text).with_context(|| format!("{shown}: cannot be read"))?;
    Ok(text)
}

/// The finding, the line that it means, and a caret below the place.
fn paragraph(path: &str, finding: &Finding, text: &str, colour: bool) -> String {
    let said = finding.to_string();
    let said = said.strip_prefix(Finding::FILE).unwrap_or(&said);
    let mut paragraph = format!("{path}{said}\n");
    let Some((line, caret)) = source(finding, text) else { return paragraph };
    let number = finding.line.to_string();
    let margin = " ".repeat(number.len());
    let (on, off) = match (colour, finding.severity) {
        (false, _) => ("", ""),
        (true, Severity::Error) => ("\x1b[1;31m", "\x1b[0m"),
        (true, Severity::Warning) => ("\x1b[1;33m", "\x1b[0m"),
    };
    paragraph.push_str(&format!("  {number} | {line}\n"));
    paragraph.push_str(&format!("  {margin} | {}{on}^{off}\n", " ".repeat(caret)));
    paragraph
}

/// The line around the place, without anything that a terminal would obey, and how many
/// characters stand before the place.
fn source(finding: &Finding, text: &str) -> Option<(String, usize)> {
    let index = usize::try_from(finding.line).ok()?.checked_sub(1)?;
    let line = text.strip_prefix('\u{feff}').unwrap_or(text).lines().nth(index)?;
    let column = usize::try_from(finding.column).ok()?.checked_sub(1)?;
    let skipped = column.saturating_sub(BEFORE);
    let plain = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    let shown: String = plain.skip(skipped).take(WIDTH).collect();
    let shown = shown.trim_end();
    (!shown.is_empty()).then(|| (shown.to_owned(), column - skipped))
}

fn summary(path: &str, config: Option<&Config>, findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let warnings = findings.len() - errors;
    match config {
        Some(config) => {
            let stacks = counted(config.stacks.len(), "stack");
            match warnings {
                0 => format!("{path}: ok, {stacks}"),
                _ => format!("{path}: can be used, {stacks}, {}", counted(warnings, "warning")),
            }
        }
        None if warnings == 0 => {
            format!("{path}: {}, nothing of it is used", counted(errors, "error"))
        }
        None => format!(
            "{path}: {} and {}, nothing of it is used",
            counted(errors, "error"),
            counted(warnings, "warning")
        ),
    }
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

//! JUnit XML, as the many tools write it: counted by test case, not by what the attributes claim.

use aldis_domain::report::{TestFailure, TestReport};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::output::plain_text;

const FAILURES: usize = 50;
/// Characters of a name and of a message.
const NAME: usize = 300;
const MESSAGE: usize = 500;
/// Elements inside each other; the format needs five or so.
const DEPTH: usize = 100;

/// What a test case turned out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passed,
    Failed,
    Errored,
    Skipped,
}

struct Case {
    name: String,
    seconds: f64,
    fate: Fate,
    message: String,
    /// The text of the open failure element is wanted.
    listens: bool,
}

/// Adds a file's results. Fails if it is no XML or has no test suite; `report` is unchanged then.
pub(super) fn add(bytes: &[u8], report: &mut TestReport) -> Result<(), String> {
    let mut sum = TestReport::default();
    let mut reader = Reader::from_reader(bytes);
    reader.config_mut().check_end_names = true;
    let mut depth = 0_usize;
    let mut seen_suite = false;
    let mut case: Option<Case> = None;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| error.to_string())?;
        match event {
            Event::Start(tag) => {
                depth += 1;
                if depth > DEPTH {
                    return Err("elements are nested too deeply".to_owned());
                }
                seen_suite |= is_suite(&tag);
                open(&tag, &mut case);
            }
            Event::Empty(tag) => {
                seen_suite |= is_suite(&tag);
                open(&tag, &mut case);
                close(tag.local_name().as_ref(), &mut case, &mut sum);
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                close(tag.local_name().as_ref(), &mut case, &mut sum);
            }
            Event::Text(text) => hear(&mut case, &text.xml10_content()),
            Event::CData(text) => hear(&mut case, &text.xml10_content()),
            Event::GeneralRef(entity) => {
                let resolved = entity.resolve_char_ref().ok().flatten().map(String::from);
                let named = || {
                    quick_xml::escape::resolve_predefined_entity(&entity.xml10_content())
                        .map(str::to_owned)
                };
                hear(&mut case, &resolved.or_else(named).unwrap_or_default());
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if depth > 0 {
        return Err("the file ends too early".to_owned());
    }
    if !seen_suite {
        return Err("it has no testsuite element".to_owned());
    }
    merge(report, sum);
    Ok(())
}

fn is_suite(tag: &BytesStart<'_>) -> bool {
    matches!(tag.local_name().as_ref(), "testsuite" | "testsuites")
}

fn open(tag: &BytesStart<'_>, case: &mut Option<Case>) {
    let fate = match (tag.local_name().as_ref(), case.as_ref()) {
        ("testcase", _) => {
            let name = attribute(tag, "name").unwrap_or_default();
            let name = match attribute(tag, "classname").filter(|class| !class.is_empty()) {
                Some(class) => format!("{class}::{name}"),
                None => name,
            };
            let seconds =
                attribute(tag, "time").and_then(|time| time.replace(',', "").parse().ok());
            *case = Some(Case {
                name: shortened(&name, NAME),
                seconds: seconds.filter(|s: &f64| s.is_finite() && *s > 0.0).unwrap_or(0.0),
                fate: Fate::Passed,
                message: String::new(),
                listens: false,
            });
            return;
        }
        ("failure", Some(_)) => Fate::Failed,
        ("error", Some(_)) => Fate::Errored,
        ("skipped", Some(_)) => Fate::Skipped,
        _ => return,
    };
    let Some(case) = case.as_mut() else { return };
    // The first failure of a test case is the one that is told.
    if matches!(case.fate, Fate::Passed | Fate::Skipped) {
        case.fate = fate;
        case.message = attribute(tag, "message").unwrap_or_default();
        case.listens = case.message.trim().is_empty();
    }
}

fn close(name: &str, case: &mut Option<Case>, sum: &mut TestReport) {
    match name {
        "failure" | "error" | "skipped" => {
            if let Some(case) = case.as_mut() {
                case.listens = false;
            }
        }
        "testcase" => {
            let Some(case) = case.take() else { return };
            sum.total += 1;
            sum.millis = sum.millis.saturating_add(millis(case.seconds));
            match case.fate {
                Fate::Passed => return,
                Fate::Skipped => {
                    sum.skipped += 1;
                    return;
                }
                Fate::Failed => sum.failed += 1,
                Fate::Errored => sum.errored += 1,
            }
            if sum.failures.len() < FAILURES {
                let message = shortened(case.message.trim(), MESSAGE);
                sum.failures.push(TestFailure { name: case.name, message });
            }
        }
        _ => {}
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "finite and not negative; a cast from float saturates"
)]
fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

fn hear(case: &mut Option<Case>, text: &str) {
    if let Some(case) =
        case.as_mut().filter(|case| case.listens && case.message.len() < 4 * MESSAGE)
    {
        let room = text.floor_char_boundary(4 * MESSAGE);
        case.message.push_str(&text[..room]);
    }
}

/// An attribute's value; one with an unknown entity as it is written.
fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().with_checks(false).flatten().find(|a| a.key.as_ref() == name)?;
    match found.normalized_value(XmlVersion::Implicit1_0) {
        Ok(value) => Some(value.into_owned()),
        Err(_) => Some(found.value.into_owned()),
    }
}

/// Without control characters but newlines, cut at `most` characters.
fn shortened(text: &str, most: usize) -> String {
    let plain = plain_text(text.as_bytes()).replace('\r', "");
    match plain.char_indices().nth(most) {
        None => plain,
        Some(_) => plain.chars().take(most - 1).chain(['…']).collect(),
    }
}

fn merge(report: &mut TestReport, sum: TestReport) {
    report.total += sum.total;
    report.failed += sum.failed;
    report.errored += sum.errored;
    report.skipped += sum.skipped;
    report.millis = report.millis.saturating_add(sum.millis);
    let room = FAILURES.saturating_sub(report.failures.len());
    report.failures.extend(sum.failures.into_iter().take(room));
}

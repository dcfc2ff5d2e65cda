//! The `environment` of a stack, checked by GitLab's rules so that no deployment is refused later.

use super::model::{EnvironmentConfig, Tier};
use super::reader::Reader;
use super::words;
use super::yaml::{Node, Place};

/// As the file writes it.
#[derive(Clone)]
pub(super) struct EnvironmentDraft {
    pub(super) at: Place,
    pub(super) name: Option<String>,
    pub(super) url: Option<String>,
    pub(super) tier: Option<Tier>,
    pub(super) tracked_branch: Option<String>,
    /// The name is written but wrong, so it is not missing.
    pub(super) named: bool,
}

impl EnvironmentDraft {
    /// Lays what a stack writes over what `defaults` has.
    pub(super) fn over(self, below: &Self) -> Self {
        Self {
            at: self.at,
            named: self.named || below.named,
            name: self.name.or_else(|| below.name.clone()),
            url: self.url.or_else(|| below.url.clone()),
            tier: self.tier.or(below.tier),
            tracked_branch: self.tracked_branch.or_else(|| below.tracked_branch.clone()),
        }
    }

    /// The finished environment; one without a name is a finding.
    pub(super) fn finish(self, reader: &mut Reader, path: &str) -> Option<EnvironmentConfig> {
        if !self.named {
            let hint = "say which environment of GitLab it is";
            reader.error_hint(self.at, path, "an environment without `name`", hint);
        }
        Some(EnvironmentConfig {
            name: self.name?,
            url: self.url,
            tier: self.tier,
            tracked_branch: self.tracked_branch,
        })
    }
}

/// Reads `environment` of a stack or of `defaults`.
pub(super) fn read(reader: &mut Reader, node: &Node, path: &str) -> Option<EnvironmentDraft> {
    let entries = reader.map(node, path, &words::ENVIRONMENT)?;
    let mut draft = EnvironmentDraft {
        at: node.at,
        name: None,
        url: None,
        tier: None,
        tracked_branch: None,
        named: false,
    };
    for (key, value) in entries {
        let path = format!("{path}.{}", key.text);
        match key.text.as_str() {
            "name" => {
                draft.named = true;
                draft.name = checked(reader, value, &path, environment_name);
            }
            "url" => draft.url = checked(reader, value, &path, url),
            "tier" => {
                let choices = [
                    ("production", Tier::Production),
                    ("staging", Tier::Staging),
                    ("testing", Tier::Testing),
                    ("development", Tier::Development),
                    ("other", Tier::Other),
                ];
                draft.tier = reader.choice(value, &path, &choices);
            }
            _ => draft.tracked_branch = checked(reader, value, &path, branch),
        }
    }
    Some(draft)
}

/// A text that `problem` finds nothing wrong with.
fn checked(
    reader: &mut Reader,
    node: &Node,
    path: &str,
    problem: fn(&str) -> Option<&'static str>,
) -> Option<String> {
    let text = reader.text(node, path, false)?;
    match problem(&text) {
        Some(problem) => {
            reader.error(node.at, path, problem);
            None
        }
        None => Some(text),
    }
}

/// GitLab's own rule: `lib/gitlab/regex.rb` (`environment_name_regex`), `app/models/environment.rb`.
fn environment_name(name: &str) -> Option<&'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_/${}. -".contains(c);
    if name.chars().count() > 255 {
        Some("longer than 255 characters")
    } else if name.starts_with('/') || name.ends_with('/') {
        Some("may not start or end with /")
    } else if !name.chars().all(fits) {
        Some("may have only letters, digits, spaces and _ / $ { } . -")
    } else {
        None
    }
}

fn url(text: &str) -> Option<&'static str> {
    let rest = ["https://", "http://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    if text.chars().count() > 255 {
        Some("longer than 255 characters")
    } else if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some("expected an address that starts with https:// or http://")
    } else if text.contains(char::is_whitespace) {
        Some("an address has no spaces")
    } else if rest.is_some_and(|rest| rest.split('/').next().is_some_and(|h| h.contains('@'))) {
        Some("an address may not carry a user or password")
    } else {
        None
    }
}

/// Git's rule for a branch (`check_refname_format`), as far as people trip over it.
fn branch(name: &str) -> Option<&'static str> {
    if name.chars().count() > 255 {
        Some("longer than 255 characters")
    } else if name.starts_with("refs/") {
        Some("write the branch's name alone, without refs/heads/")
    } else if name.contains(['*', '?', '[']) {
        Some("expected one branch, found a glob")
    } else if name.contains([' ', '~', '^', ':', '\\']) || name.contains("..") {
        Some("no branch can have this name")
    } else {
        None
    }
}

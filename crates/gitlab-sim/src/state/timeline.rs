//! The list of visible changes, and stable names for commits.

use super::State;
use crate::ids::ProjectId;

impl State {
    /// Writes down one visible change. Commits stand in it with their full sha.
    pub(crate) fn tell(&mut self, line: String) {
        self.timeline.push(line);
    }

    /// Puts names in the place of commits: the given name, else the first 8 digits.
    pub(crate) fn rename(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
            let (before, from) = rest.split_at(start);
            let length = from.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(from.len());
            let (word, after) = from.split_at(length);
            let inside_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                || after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            out.push_str(before);
            if inside_word {
                out.push_str(word);
            } else {
                out.push_str(&self.name_of(word));
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn name_of(&self, word: &str) -> String {
        if word.len() >= 8 {
            let named = self.names.iter().find(|(sha, _)| sha.starts_with(word));
            if let Some((_, name)) = named {
                return name.clone();
            }
        }
        if word.len() == 40 { word[..8].to_owned() } else { word.to_owned() }
    }

    /// `group/demo`, for timeline lines.
    pub(crate) fn path(&self, project: ProjectId) -> &str {
        self.projects.get(&project).map_or("?", |project| project.path.as_str())
    }
}

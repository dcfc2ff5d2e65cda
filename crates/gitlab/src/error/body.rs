//! Reads the many shapes of GitLab's error bodies (`lib/api/helpers.rb`, `lib/api/api_guard.rb`,
//! Grape's own, Rack::Attack's plain text, a proxy's HTML) into one line.

use serde_json::Value;

const MAX_CHARS: usize = 300;

/// What an error body says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) message: String,
    pub(super) field: Option<String>,
    pub(super) scope: Option<String>,
}

pub(super) fn read(body: &[u8]) -> Said {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        return Said { message: plain(body), ..Said::default() };
    };
    let error = object.get("error").and_then(Value::as_str);
    let description = object.get("error_description").and_then(Value::as_str);
    let scope = error.filter(|error| error.starts_with("insufficient_")).map(|_| {
        shorten(object.get("scope").and_then(Value::as_str).or(description).unwrap_or("unnamed"))
    });
    let field = match object.get("message") {
        Some(Value::Object(fields)) => fields.keys().next().filter(|key| *key != "error").cloned(),
        _ => error.and_then(missing_parameter),
    };
    let mut parts = Vec::new();
    if let Some(message) = object.get("message") {
        flatten(None, message, &mut parts);
    }
    parts.extend([error, description].into_iter().flatten().map(ToOwned::to_owned));
    Said { message: shorten(&parts.join(": ")), field, scope }
}

/// Grape's `state is missing, state does not have a valid value` names the parameter first.
fn missing_parameter(error: &str) -> Option<String> {
    let (name, rest) = error.split_once(' ')?;
    ["is ", "does not "].iter().any(|verb| rest.starts_with(verb)).then(|| shorten(name))
}

fn flatten(field: Option<&str>, value: &Value, parts: &mut Vec<String>) {
    match value {
        Value::String(text) => parts.push(match field {
            Some(field) => format!("{field} {text}"),
            None => text.clone(),
        }),
        Value::Array(items) => items.iter().for_each(|item| flatten(field, item, parts)),
        Value::Object(fields) => fields.iter().for_each(|(name, item)| {
            flatten((name != "error").then_some(name), item, parts);
        }),
        Value::Null => {}
        other => parts.push(other.to_string()),
    }
}

/// The text of a body that is no JSON object; of an HTML page only its title.
fn plain(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let start = text.trim_start();
    if !start.starts_with('<') {
        return shorten(start);
    }
    let title = start.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    shorten(title.map_or("an HTML page", |(title, _)| title))
}

/// One line of at most 300 characters.
pub(crate) fn shorten(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_CHARS) {
        None => line,
        Some(_) => line.chars().take(MAX_CHARS - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::{read, shorten};

    fn said(body: &str) -> String {
        let said = read(body.as_bytes());
        let field = said.field.map_or(String::new(), |f| format!(" [field {f}]"));
        let scope = said.scope.map_or(String::new(), |s| format!(" [scope {s}]"));
        format!("{}{field}{scope}", said.message)
    }

    #[test]
    fn every_shape_of_gitlab_becomes_one_line() {
        let bodies = [
            r#"{"message":"404 Project Not Found"}"#,
            r#"{"message":{"description":["is too long (maximum is 255 characters)"]}}"#,
            r#"{"message":["Another open merge request already exists"]}"#,
            r#"{"message":{"error":"This endpoint has been requested too many times."}}"#,
            r#"{"message":{"status":["cannot transition via \"run\""]}}"#,
            r#"{"message":"400 Bad request - Note {:note=>[\"is too long\"]}"}"#,
            r#"{"error":"state is missing, state does not have a valid value"}"#,
            r#"{"error":"environment is empty"}"#,
            r#"{"error":"404 Not Found"}"#,
            r#"{"error":"invalid_token","error_description":"Token was revoked."}"#,
            r#"{"error":"insufficient_scope","error_description":"Higher privileges","scope":"api"}"#,
            r#"{"error":"insufficient_granular_scope","error_description":"Needs read_webhook"}"#,
            r#"{"message":null}"#,
            "Retry later\n",
            "\n<html><head><title>502 Bad\nGateway</title></head><body>x</body></html>",
            "<p>no title",
            r#"["odd"]"#,
            "",
        ];
        assert_snapshot!(bodies.map(said).join("\n"), @r#"
        404 Project Not Found
        description is too long (maximum is 255 characters) [field description]
        Another open merge request already exists
        This endpoint has been requested too many times.
        status cannot transition via "run" [field status]
        400 Bad request - Note {:note=>["is too long"]}
        state is missing, state does not have a valid value [field state]
        environment is empty [field environment]
        404 Not Found
        invalid_token: Token was revoked.
        insufficient_scope: Higher privileges [scope api]
        insufficient_granular_scope: Needs read_webhook [scope Needs read_webhook]

        Retry later
        502 Bad Gateway
        an HTML page
        ["odd"]
        "#);
    }

    #[test]
    fn a_long_text_is_cut_on_a_character() {
        let cut = shorten(&"ä ".repeat(5_000));
        assert_eq!(cut.chars().count(), 300);
        assert!(cut.ends_with('…'));
    }
}

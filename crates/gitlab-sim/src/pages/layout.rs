//! The frame of every page, and escaping.

use crate::state::State;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8881}\
*{box-sizing:border-box}\
body{margin:0 auto;padding:1rem;max-width:52rem;font:1rem/1.5 system-ui,sans-serif;\
overflow-wrap:anywhere}\
header{border-bottom:1px solid var(--line);margin-bottom:1rem;padding-bottom:.5rem}\
h1{font-size:1.4rem;margin:.5rem 0}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}\
ul{list-style:none;padding:0;margin:0}li{padding:.35rem 0;border-top:1px solid var(--line)}\
article{border:1px solid var(--line);border-radius:.4rem;padding:.5rem .8rem;margin:.8rem 0}\
pre{background:var(--soft);padding:.6rem;overflow-x:auto;border-radius:.3rem}\
code{font-family:ui-monospace,monospace;font-size:.9em}\
table{border-collapse:collapse;display:block;overflow-x:auto}\
td,th{border:1px solid var(--line);padding:.2rem .6rem;text-align:left}\
.state{display:inline-block;border-radius:1rem;padding:0 .6rem;border:1px solid currentColor;\
font-size:.85rem}\
.success,.merged{color:#1a7f37}.failed,.closed{color:#cf222e}\
.running,.opened{color:#0969da}.pending{color:#9a6700}.quiet{opacity:.7;font-size:.9rem}";

/// A whole page. `body` is HTML, `title` is text.
pub(super) fn page(state: &State, title: &str, body: &str) -> String {
    let (title, home) = (escape(title), escape(&state.url));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\
         <header><a href=\"{home}/\">Simulated GitLab</a></header>\
         <main><h1>{title}</h1>{body}</main></body></html>"
    )
}

/// Text as HTML, also inside a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A state with its colour.
pub(super) fn badge(state: &str) -> String {
    let state = escape(state);
    format!("<span class=\"state {state}\">{state}</span>")
}

/// A link; anything but http and https becomes plain text.
pub(super) fn link(url: &str, text: &str) -> String {
    let text = escape(text);
    if url.starts_with("http://") || url.starts_with("https://") {
        return format!("<a href=\"{}\">{text}</a>", escape(url));
    }
    text
}

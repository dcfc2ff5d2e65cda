//! Checks that what stacks need of each other exists and can be put in an order.

use std::collections::BTreeMap;

use super::draft::Need;
use super::reader::{Reader, quoted};
use super::words::nearest;

/// Finds unknown names, and every circle once. `needs` has an entry for each stack of the file.
pub(super) fn check(reader: &mut Reader, needs: &BTreeMap<String, Vec<Need>>) {
    for need in needs.values().flatten() {
        if !needs.contains_key(&need.stack) {
            let message = format!("there is no stack {}", quoted(&need.stack));
            match nearest(&need.stack, needs.keys().map(String::as_str)) {
                Some(near) => {
                    let hint = format!("did you mean {}?", quoted(near));
                    reader.error_hint(need.at, &need.path, message, hint);
                }
                None => reader.error(need.at, &need.path, message),
            }
        }
    }
    let mut done = BTreeMap::new();
    for name in needs.keys() {
        circles(reader, needs, name, &mut done);
    }
}

/// How far the search is with a stack; those under way form the path from the start.
#[derive(PartialEq, Eq)]
enum Mark {
    UnderWay,
    Done,
}

/// Depth first, with its own stack: 200 stacks in a row must not use up the thread's.
fn circles<'a>(
    reader: &mut Reader,
    needs: &'a BTreeMap<String, Vec<Need>>,
    start: &'a str,
    marks: &mut BTreeMap<&'a str, Mark>,
) {
    if marks.contains_key(start) {
        return;
    }
    marks.insert(start, Mark::UnderWay);
    let mut way = vec![(start, 0)];
    while let Some((name, next)) = way.last_mut() {
        let Some(need) = needs.get(*name).and_then(|list| list.get(*next)) else {
            marks.insert(name, Mark::Done);
            way.pop();
            continue;
        };
        *next += 1;
        match marks.get(need.stack.as_str()) {
            Some(Mark::Done) => {}
            Some(Mark::UnderWay) => {
                let from = way.iter().position(|(name, _)| *name == need.stack).unwrap_or(0);
                let mut circle: Vec<&str> = way[from..].iter().map(|(name, _)| *name).collect();
                circle.push(&need.stack);
                let message = format!("these stacks wait for each other: {}", circle.join(" → "));
                reader.error(need.at, &need.path, message);
            }
            None => {
                marks.insert(&need.stack, Mark::UnderWay);
                way.push((&need.stack, 0));
            }
        }
    }
}

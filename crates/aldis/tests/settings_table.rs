//! The documented table of settings is the one that the program reads by.

use std::fmt::Write as _;
use std::path::Path;

use aldis::settings::TABLE;

const BEGIN: &str = "<!-- table of settings: begin -->\n";
const END: &str = "<!-- table of settings: end -->";

#[test]
fn the_documented_table_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
    let document = std::fs::read_to_string(path).expect("docs/settings.md is in the repository");
    let (_, rest) = document.split_once(BEGIN).expect("the table's begin is marked");
    let (written, _) = rest.split_once(END).expect("the table's end is marked");
    let right = table();
    assert!(written == right, "the table in docs/settings.md should be:\n\n{right}");
}

fn table() -> String {
    let mut table = String::from("| name | default | meaning |\n|---|---|---|\n");
    for setting in TABLE {
        let default = if setting.default.is_empty() { "none" } else { setting.default };
        let _ = writeln!(table, "| `{}` | {default} | {} |", setting.name, setting.meaning);
    }
    table
}

//! What a hostile repository may try: bytes that break the reader, and keys that only reviewed code
//! may set.

use aldis_domain::config::{Config, Executor, Finding, Network, effective, read};
use proptest::prelude::*;

use crate::WHOLE;

fn config(stacks: &str) -> Config {
    let text = format!("version: 1\nstacks: {{{stacks}}}");
    read(text.as_bytes()).expect("the file is right").0
}

#[test]
fn safety_keys_come_from_the_target_branch() {
    let head = config(
        "a: {steps: [{run: new}], executor: shell, environment: {name: prod, url: 'https://evil.example'}}, \
         b: {steps: [{run: new}], network: default}, \
         c: {steps: [{run: new}], network: none}, \
         fresh: {steps: [{run: new}], executor: shell, environment: {name: prod}}",
    );
    let target = config(
        "a: {steps: [{run: old}], executor: bubblewrap, environment: {name: staging}}, \
         b: {steps: [{run: old}], network: none}, \
         c: {steps: [{run: old}]}",
    );
    let config = effective(&head, Some(&target));
    let environment =
        |name: &str| config.stacks[name].environment.as_ref().map(|e| e.name.as_str());
    assert_eq!(config.stacks["a"].steps, head.stacks["a"].steps);
    assert_eq!(config.stacks["a"].executor, Some(Executor::Bubblewrap));
    assert_eq!(config.stacks["a"].environment, target.stacks["a"].environment);
    assert_eq!(config.stacks["b"].network, Network::None);
    assert_eq!(config.stacks["c"].network, Network::None);
    assert_eq!((environment("fresh"), config.stacks["fresh"].executor), (None, None));
}

#[test]
fn without_a_config_on_the_target_branch_nothing_is_trusted() {
    let head = config("a: {steps: [{run: x}], executor: shell, environment: {name: prod}}");
    let stack = &effective(&head, None).stacks["a"];
    assert_eq!((&stack.environment, stack.executor), (&None, None));
}

#[test]
fn defaults_cannot_blow_a_small_file_up() {
    let values = (0..2_000).map(|n| format!("  V{n}: {}\n", "x".repeat(20)));
    let stacks = (0..100).map(|n| format!("  s{n}: {{steps: [{{run: x}}]}}\n"));
    let (values, stacks) = (values.collect::<String>(), stacks.collect::<String>());
    let findings = read(format!("version: 1\nvariables:\n{values}stacks:\n{stacks}").as_bytes());
    insta::assert_snapshot!(findings.unwrap_err()[0], @".aldis.yml:2038:3: stacks.s34: from here on the config is larger than 2048 KiB; shorten `defaults` and `variables`, or move scripts into files");
    let values = format!("  V: {}\n", "x".repeat(50_000));
    let findings = read(format!("version: 1\nvariables:\n{values}stacks:\n{stacks}").as_bytes());
    insta::assert_snapshot!(findings.unwrap_err()[0], @".aldis.yml:46:3: stacks.s41: from here on the config is larger than 2048 KiB; shorten `defaults` and `variables`, or move scripts into files");
}

#[test]
fn globs_are_counted_over_the_whole_file() {
    let globs = vec!["a*b*c"; 30].join(", ");
    let stacks = (0..150).map(|n| format!("  s{n}: {{paths: [{globs}], steps: [{{run: x}}]}}\n"));
    let text = format!("version: 1\nstacks:\n{}", stacks.collect::<String>());
    let findings = read(text.as_bytes()).unwrap_err();
    insta::assert_snapshot!(findings[0], @".aldis.yml:136:88: stacks.s133.paths[10]: more than 4000 globs in one file");
    assert_eq!(findings.len(), 1);
    let globs = (0..100).map(|n| format!("'{n}'")).collect::<Vec<_>>().join(", ");
    let stacks = (0..50).map(|n| format!("  s{n}: {{steps: [{{run: x}}]}}\n"));
    let text = format!(
        "version: 1\ndefaults: {{paths: [{globs}]}}\nstacks:\n{}",
        stacks.collect::<String>()
    );
    insta::assert_snapshot!(read(text.as_bytes()).unwrap_err()[0], @".aldis.yml:44:3: stacks.s40: more than 4000 globs with all defaults in");
}

#[test]
fn one_stack_stays_small_enough_to_hand_around() {
    let run = format!("- run: {}\n      ", "x".repeat(1_000)).repeat(70);
    let text = format!("version: 1\nstacks:\n  a:\n    steps:\n      {run}");
    insta::assert_snapshot!(read(text.as_bytes()).unwrap_err()[0], @".aldis.yml:3:3: stacks.a: larger than 64 KiB with all defaults in; shorten `defaults` and `variables`, or move scripts into files");
}

#[test]
fn a_file_of_nothing_but_errors_is_told_in_short() {
    let keys = (0..20_000).map(|n| format!("k{n}: 1\n")).collect::<String>();
    let findings = read(keys.as_bytes()).unwrap_err();
    assert_eq!(findings.len(), 100);
    insta::assert_snapshot!(findings[0], @r#".aldis.yml:1:1: unknown key "k0"; known here: version, defaults, variables, stacks, skip_ci, status"#);
    let needs = (0..20_000).map(|n| format!("s{n},")).collect::<String>();
    let text = format!("version: 1\nstacks: {{a: {{steps: [{{run: x}}], needs: [{needs}]}}}}");
    insta::assert_snapshot!(read(text.as_bytes()).unwrap_err()[0], @".aldis.yml:2:40: stacks.a.needs: more than 200 stacks");
}

/// What every answer must keep to.
fn sound(text: &[u8]) {
    let findings: Vec<Finding> = match read(text) {
        Ok((config, warnings)) => {
            assert!(!config.stacks.is_empty());
            assert!(warnings.iter().all(|finding| !finding.is_error()));
            warnings
        }
        Err(findings) => {
            assert!(findings.iter().any(Finding::is_error));
            findings
        }
    };
    assert!(findings.len() <= 100);
    assert!(findings.is_sorted_by_key(|finding| (finding.line, finding.column)));
    for finding in findings {
        let line = finding.to_string();
        assert!(finding.line > 0 && finding.column > 0, "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(text in prop::collection::vec(any::<u8>(), 0..400)) {
        sound(&text);
    }

    #[test]
    fn any_text_of_yaml_signs_gets_an_answer(text in "[-?:,\\[\\]{}#&*!|>'\"%@`a-c1 \n\t<.~]{0,120}") {
        sound(text.as_bytes());
        sound(format!("version: 1\nstacks:\n  {text}").as_bytes());
        sound(format!("version: 1\nstacks: {{a: {{steps: [{{run: x}}], paths: [{text}]}}}}").as_bytes());
    }

    #[test]
    fn a_changed_file_gets_an_answer(
        cuts in prop::collection::vec((0..WHOLE.len(), 0..8_usize, "[-?:,\\[\\]{}#&*!|>'\"a1 \n]{0,3}"), 1..5)
    ) {
        let mut text = WHOLE.to_owned();
        for (at, length, new) in cuts {
            let start = at.min(text.len());
            let end = (start + length).min(text.len());
            text.replace_range(start..end, &new);
        }
        sound(text.as_bytes());
    }
}

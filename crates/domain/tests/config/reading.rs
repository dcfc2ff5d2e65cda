//! Whole files in, stacks or findings out.

use aldis_domain::config::{Config, Network, read};

use crate::{WHOLE, bad, bad_stack, good, lines};

#[test]
fn a_whole_file_is_read_with_every_default_in_place() {
    let config = good(WHOLE);
    let json = serde_json::to_string_pretty(&config).unwrap();
    insta::assert_snapshot!(json, @r#"
    {
      "stacks": {
        "api": {
          "dir": "services/api",
          "steps": [
            {
              "name": "lint",
              "run": [
                "make lint"
              ],
              "env": {},
              "allow_failure": true,
              "when": "on_success"
            },
            {
              "name": "test",
              "run": [
                "make build",
                "make test"
              ],
              "env": {
                "THREADS": "2"
              },
              "timeout": 720,
              "allow_failure": false,
              "when": "on_success"
            },
            {
              "name": "step 3",
              "run": [
                "make clean\necho done\n"
              ],
              "env": {},
              "allow_failure": false,
              "when": "always"
            }
          ],
          "on": {
            "push": {
              "default_branch": false,
              "branches": [
                "main",
                "release/*"
              ],
              "branches_ignore": [
                "release/old-*"
              ]
            },
            "tag": {
              "tags": [
                "v*"
              ]
            },
            "merge_request": {
              "target_branches": [
                "main"
              ],
              "actions": [
                "opened",
                "updated",
                "labeled"
              ],
              "draft": false
            }
          },
          "paths": [
            "services/api/**",
            "libs/core/",
            "!**/*.md"
          ],
          "paths_ignore": [
            "**/fixtures/**"
          ],
          "env": {
            "CACHE": "on",
            "LEVEL": "1.10",
            "MODE": "api",
            "TZ": "UTC"
          },
          "timeout": 5400,
          "needs": [],
          "reports": {
            "junit": [
              "out/*.xml"
            ],
            "terraform_plan": []
          },
          "environment": null,
          "concurrency": {
            "cancel_superseded": false
          },
          "executor": null,
          "network": "default"
        },
        "network": {
          "dir": "infra/network",
          "steps": [
            {
              "name": "plan",
              "run": [
                "make plan"
              ],
              "env": {},
              "allow_failure": false,
              "when": "on_success"
            }
          ],
          "on": {
            "push": {
              "default_branch": true,
              "branches": [],
              "branches_ignore": []
            },
            "tag": null,
            "merge_request": {
              "target_branches": [],
              "actions": [
                "opened",
                "updated",
                "reopened",
                "ready",
                "retargeted"
              ],
              "draft": true
            }
          },
          "paths": [
            "infra/network/**"
          ],
          "paths_ignore": [],
          "env": {
            "CACHE": "on",
            "LEVEL": "1.10",
            "MODE": "ci",
            "TZ": "UTC"
          },
          "timeout": 1200,
          "needs": [
            "api"
          ],
          "reports": {
            "junit": [],
            "terraform_plan": [
              "plan.json"
            ]
          },
          "environment": {
            "name": "production/network",
            "url": "https://status.example.org/network",
            "tier": "production",
            "tracked_branch": "main"
          },
          "concurrency": {
            "cancel_superseded": true
          },
          "executor": "bubblewrap",
          "network": "none"
        }
      },
      "skip_ci": false,
      "status": {
        "prefix": "checks",
        "aggregate": "aldis"
      }
    }
    "#);
    let again: Config = serde_json::from_str(&json).unwrap();
    assert_eq!(again, config);
}

#[test]
fn the_smallest_file_runs_for_merge_requests_and_the_default_branch() {
    let config = good("version: 1\nstacks: {all: {steps: [{run: make}]}}");
    let stack = &config.stacks["all"];
    assert!(stack.on.push.as_ref().is_some_and(|push| push.default_branch));
    assert!(stack.on.tag.is_none());
    assert_eq!(stack.on.merge_request.as_ref().map(|rule| rule.actions.len()), Some(5));
    assert_eq!(stack.timeout.as_secs(), 3600);
    assert_eq!(stack.steps[0].name, "step 1");
    assert!(stack.paths.is_empty() && stack.concurrency.cancel_superseded && config.skip_ci);
}

#[test]
fn json_and_windows_line_ends_are_yaml_too() {
    good("{\"version\": 1, \"stacks\": {\"a\": {\"steps\": [{\"run\": \"make\"}]}}}");
    good("\u{feff}version: 1\r\nstacks:\r\n  a:\r\n    steps:\r\n      - run: make\r\n");
}

#[test]
fn a_text_that_is_no_config_is_refused_with_its_place() {
    let bomb = format!(
        "x-a: &a [{}]\nx-b: &b [{}]\nx-c: &c [{}]\nx-d: [{}]\n",
        ["lol"; 20].join(","),
        ["*a"; 20].join(","),
        ["*b"; 20].join(","),
        ["*c"; 20].join(","),
    );
    let deep = format!("x-a: {}{}", "[".repeat(200), "]".repeat(200));
    let deeper = format!("x-a: {}", "[".repeat(100_000));
    let many = format!("x-a: [{}]", "1,".repeat(120_000));
    let large = format!("version: 1\n# {}", "x".repeat(300_000));
    let rows = [
        ("empty", ""),
        ("blank", "\n# nothing\n"),
        ("text", "hello"),
        ("list", "- version: 1"),
        ("open quote", "version: 1\nstacks: \"api"),
        ("open bracket", "version: 1\nstacks: {api: ["),
        ("bad indent", "version: 1\nstacks:\n  api:\n    steps:\n   - run: x"),
        ("tab", "version: 1\nstacks:\n\tapi: {}"),
        ("no colon", "version 1\nstacks:\n  api: {}"),
        ("two documents", "version: 1\n---\nversion: 1"),
        ("no anchor", "version: 1\nstacks: *missing"),
        ("itself", "x-a: &a [*a]"),
        ("alias bomb", &bomb),
        ("deep", &deep),
        ("deeper", &deeper),
        ("many", &many),
        ("large", &large),
        ("map as key", "{[a]: 1}"),
    ];
    let told = rows.map(|(name, text)| format!("{name}: {}", bad(text)));
    insta::assert_snapshot!(told.join("\n"), @r#"
    empty: .aldis.yml:1:1: the file is empty; it needs `version: 1` and `stacks`
    blank: .aldis.yml:1:1: the file is empty; it needs `version: 1` and `stacks`
    text: .aldis.yml:1:1: expected a map, found a text
    list: .aldis.yml:1:1: expected a map, found a list
    open quote: .aldis.yml:2:9: not readable as YAML: unclosed quote
    open bracket: .aldis.yml:2:15: not readable as YAML: unclosed bracket '['
    bad indent: .aldis.yml:5:4: not readable as YAML: while parsing a block mapping, did not find expected key
    tab: .aldis.yml:3:2: not readable as YAML: tabs disallowed within this context (block indentation)
    no colon: .aldis.yml:2:7: not readable as YAML: mapping values are not allowed in this context
    two documents: .aldis.yml:2:1: more than one YAML document
    no anchor: .aldis.yml:2:9: an alias names no anchor above it
    itself: .aldis.yml:1:10: an alias stands inside its own anchor
    alias bomb: .aldis.yml:4:10: aliases repeat more than 20000 elements
    deep: .aldis.yml:1:38: nested deeper than 32 levels
    deeper: .aldis.yml:1:38: nested deeper than 32 levels
    many: .aldis.yml:1:199997: more than 100000 YAML elements
    large: .aldis.yml:1:1: larger than 256 KiB
    map as key: .aldis.yml:1:2: not readable as YAML: expected string scalar
    "#);
    insta::assert_snapshot!(lines(&read(b"version: 1\nx-a: \xff").unwrap_err()), @".aldis.yml:2:6: not UTF-8 text");
}

#[test]
fn every_error_of_a_file_is_told_at_once_and_in_order() {
    insta::assert_snapshot!(bad(include_str!("broken.yml")), @r#"
    .aldis.yml:3:3: defaults: unknown key "timeut"; did you mean "timeout"?
    .aldis.yml:4:12: defaults.timeout: expected a duration such as 90s, 20m or 1h30m, found a number
    .aldis.yml:5:18: status.prefix: not a status name; letters, digits and _ . - in parts with / between them
    .aldis.yml:7:3: stacks.api: a stack without steps; say under `steps` what it runs
    .aldis.yml:8:5: stacks.api: unknown key "step"; did you mean "steps"?
    .aldis.yml:9:12: stacks.api.paths: expected a list of globs, found a number
    .aldis.yml:11:10: stacks.web.dir: `..` leads out of the repository
    .aldis.yml:12:13: stacks.web.needs[0]: there is no stack "apy"; did you mean "api"?
    .aldis.yml:14:9: stacks.web.steps[0]: a step without `run`; say what it runs
    .aldis.yml:15:9: stacks.web.steps[1]: unknown key "rum"; did you mean "run"?
    .aldis.yml:15:9: stacks.web.steps[1]: a step without `run`; say what it runs
    .aldis.yml:16:15: stacks.web.steps[1].when: unknown word "alway"; did you mean "always"?
    .aldis.yml:17:3: stacks.Web: not a stack's name; 1 to 63 of a-z 0-9 _ . - with a letter or digit in front
    .aldis.yml:18:5: stacks.Web: the key "matrix" is not available yet; leave it out
    .aldis.yml:20:18: stacks.Web.environment: an environment without `name`; say which environment of GitLab it is
    .aldis.yml:20:24: stacks.Web.environment.url: expected an address that starts with https:// or http://
    "#);
}

#[test]
fn a_file_without_its_main_keys_says_which() {
    insta::assert_snapshot!(bad("{}"), @r#"
    .aldis.yml:1:1: a file without `version`; begin the file with `version: 1`
    .aldis.yml:1:1: a file without stacks; name at least one under `stacks`
    "#);
    insta::assert_snapshot!(bad("version: 2\nstacks: {}"), @r#"
    .aldis.yml:1:10: version: this server reads version 1, not 2
    .aldis.yml:2:9: stacks: needs at least one stack
    "#);
    insta::assert_snapshot!(bad("version: \"1\"\nstacks: []"), @r#"
    .aldis.yml:1:10: version: expected the number 1, found a text
    .aldis.yml:2:9: stacks: expected a map, found a list
    "#);
    insta::assert_snapshot!(bad("version: 1\nstacks:\n  api:\n"), @".aldis.yml:3:6: stacks.api: expected a map, found nothing");
}

#[test]
fn keys_of_the_format_that_do_not_work_yet_are_told_apart_from_unknown_ones() {
    insta::assert_snapshot!(
        bad("version: 1\nrollout: {shadow: true}\nfoo: 1\nstacks: {a: {image: x, imge: y, steps: [{run: x, image: y}]}}"),
        @r#"
        .aldis.yml:2:1: the key "rollout" is not available yet; leave it out
        .aldis.yml:3:1: unknown key "foo"; known here: version, defaults, variables, stacks, skip_ci, status
        .aldis.yml:4:14: stacks.a: the key "image" is not available yet; leave it out
        .aldis.yml:4:24: stacks.a: unknown key "imge"; did you mean "image"?
        .aldis.yml:4:50: stacks.a.steps[0]: the key "image" is not available yet; leave it out
        "#
    );
    insta::assert_snapshot!(bad_stack("executor: container\non: {schedule: []}\nreports: {sarif: []}"), @r#"
    .aldis.yml:5:15: stacks.api.executor: the executor "container" is not available yet; leave it out, or write bubblewrap or shell
    .aldis.yml:6:10: stacks.api.on: the key "schedule" is not available yet; leave it out
    .aldis.yml:7:15: stacks.api.reports: the key "sarif" is not available yet; leave it out
    "#);
}

#[test]
fn duplicates_name_both_places() {
    insta::assert_snapshot!(
        bad("version: 1\nstacks:\n  api: {steps: [{run: a}]}\n  web: {steps: [{run: a, run: b}]}\n  api: {steps: [{run: b}]}\nversion: 1"),
        @r#"
        .aldis.yml:4:26: stacks.web.steps[0]: "run" stands here twice, first in line 4; keep one of them
        .aldis.yml:5:3: stacks: "api" stands here twice, first in line 3; keep one of them
        .aldis.yml:6:1: "version" stands here twice, first in line 1; keep one of them
        "#
    );
    insta::assert_snapshot!(bad("version: 1\nstacks:\n  1: {steps: [{run: a}]}\n  1: {steps: [{run: a}]}"), @".aldis.yml:4:3: stacks: the key 1 is a number; put it in quotes");
}

#[test]
fn needs_must_exist_and_have_an_order() {
    let steps = "steps: [{run: make}]";
    let text = format!(
        "version: 1\nstacks:\n  a: {{{steps}, needs: [b, c]}}\n  b: {{{steps}, needs: [{{stack: c}}]}}\n  \
         c: {{{steps}, needs: [a]}}\n  selfish: {{{steps}, needs: [selfish]}}\n  \
         e: {{{steps}, needs: [selfihs, zzzzzz, {{optional: true}}]}}"
    );
    insta::assert_snapshot!(bad(&text), @r#"
    .aldis.yml:5:37: stacks.c.needs[0]: these stacks wait for each other: a → b → c → a
    .aldis.yml:6:43: stacks.selfish.needs[0]: these stacks wait for each other: selfish → selfish
    .aldis.yml:7:37: stacks.e.needs[0]: there is no stack "selfihs"; did you mean "selfish"?
    .aldis.yml:7:46: stacks.e.needs[1]: there is no stack "zzzzzz"
    .aldis.yml:7:54: stacks.e.needs[2]: names no `stack`
    .aldis.yml:7:55: stacks.e.needs[2]: the key "optional" is not available yet; leave it out
    "#);
}

#[test]
fn a_long_row_of_needs_is_no_trouble() {
    let rows = (1..200).map(|n| format!("  s{n}: {{steps: [{{run: x}}], needs: [s{}]}}\n", n - 1));
    let text =
        format!("version: 1\nstacks:\n  s0: {{steps: [{{run: x}}]}}\n{}", rows.collect::<String>());
    assert_eq!(good(&text).stacks.len(), 200);
    insta::assert_snapshot!(bad(&format!("{text}  one-more: {{steps: [{{run: x}}]}}\n")), @".aldis.yml:203:3: stacks: more than 200 stacks");
}

#[test]
fn tags_are_refused_wherever_they_stand() {
    insta::assert_snapshot!(
        bad("version: 1\nx-a: !reference [a, b]\nstacks: {api: {steps: [{run: !!str x}]}}"),
        @r#"
        .aldis.yml:2:17: a YAML tag; leave out what starts with `!`
        .aldis.yml:3:36: a YAML tag; leave out what starts with `!`
        "#
    );
}

#[test]
fn anchors_and_merge_keys_work() {
    let config = good(
        "version: 1\nx-base: &base\n  dir: app\n  env: {A: '1'}\n  steps: [{run: make}]\nstacks:\n  \
         one: *base\n  two: {<<: *base, dir: lib}\n",
    );
    assert_eq!(config.stacks["one"].dir, "app");
    assert_eq!(
        (config.stacks["two"].dir.as_str(), &config.stacks["two"].env["A"]),
        ("lib", &"1".to_owned())
    );
}

#[test]
fn variables_are_kept_as_they_are_written() {
    let config = good(
        "version: 1\nvariables: {PY: 3.10, OCT: 0777, ON: true, A: 'x'}\ndefaults: {env: {A: y, B: y}}\n\
         stacks: {api: {env: {B: z, EMPTY: ''}, steps: [{run: x}]}}",
    );
    insta::assert_debug_snapshot!(config.stacks["api"].env, @r#"
    {
        "A": "y",
        "B": "z",
        "EMPTY": "",
        "OCT": "0777",
        "ON": "true",
        "PY": "3.10",
    }
    "#);
}

#[test]
fn findings_never_repeat_a_variables_value() {
    let told = bad("version: 1\nvariables: {KEY: [hunter2], 1K: hunter2}\nstacks: {}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn defaults_lie_below_every_stack() {
    let config = good(
        "version: 1\ndefaults: {network: none, timeout: 5m, on: {push: {branches: [x]}}, \
         reports: {junit: [a.xml]}, environment: {tier: staging}, paths: [./src/]}\n\
         stacks:\n  a: {dir: app, steps: [{run: x}], environment: {name: a}, on: {tag: }}\n",
    );
    let a = &config.stacks["a"];
    assert_eq!(a.network, Network::None);
    assert_eq!(a.paths, ["app/src/"]);
    assert!(a.on.push.is_some() && a.on.tag.is_some() && a.on.merge_request.is_none());
    insta::assert_debug_snapshot!(a.environment, @r#"
    Some(
        EnvironmentConfig {
            name: "a",
            url: None,
            tier: Some(
                Staging,
            ),
            tracked_branch: None,
        },
    )
    "#);
    insta::assert_snapshot!(bad("version: 1\ndefaults: {environment: {tier: staging}}\nstacks: {a: {steps: [{run: x}]}}"), @".aldis.yml:2:25: stacks.a.environment: an environment without `name`; say which environment of GitLab it is");
}

//! Single values that are wrong, and the words for it.

use aldis_domain::config::read;

use crate::{bad, bad_stack, good, lines};

#[test]
fn values_of_the_wrong_kind_say_what_is_right() {
    let rows = [
        "paths: 5",
        "paths: src/**",
        "paths: [1.10, [x]]",
        "paths: ['[a', '!x']",
        "paths_ignore: ['', \"a\\u0007b\", ../x]",
        "timeout: 20",
        "timeout: 0s",
        "timeout: 25h",
        "timeout: soon",
        "dir: /srv",
        "dir: a/../../b",
        "env: [A=b]",
        "env: {1A: x, B: , C: [x]}",
        "on: push",
        "on: {push: {branches: main}, tag: {tag: x}}",
        "on: {merge_request: {actions: [open, merged], draft: no}}",
        "on: {merge_request: {actions: []}}",
        "needs: api",
        "reports: {junit: out.xml}",
        "concurrency: {cancel_superseded: maybe}",
        "executor: bublewrap",
        "executor: 5",
        "network: off",
        "description: 5",
        "environment: production",
        "environment: {tier: prod}",
    ];
    let told = rows.map(|row| format!("{row}\n  {}", bad_stack(row).replace('\n', "\n  ")));
    insta::assert_snapshot!(told.join("\n"), @r#"
    paths: 5
      .aldis.yml:5:12: stacks.api.paths: expected a list of globs, found a number
    paths: src/**
      .aldis.yml:5:12: stacks.api.paths: expected a list of globs, found a text; put it in [ ]
    paths: [1.10, [x]]
      .aldis.yml:5:13: stacks.api.paths[0]: expected a text, found a number; put it in quotes
      .aldis.yml:5:19: stacks.api.paths[1]: expected a text, found a list
    paths: ['[a', '!x']
      .aldis.yml:5:13: stacks.api.paths[0]: "[a" is no glob: unclosed character class; missing ']'
      .aldis.yml:5:19: stacks.api.paths[1]: the list starts by taking away, so it matches nothing; put "**" before it
    paths_ignore: ['', "a\u0007b", ../x]
      .aldis.yml:5:20: stacks.api.paths_ignore[0]: expected a text, found an empty one
      .aldis.yml:5:24: stacks.api.paths_ignore[1]: contains control characters
      .aldis.yml:5:36: stacks.api.paths_ignore[2]: "../x" is no glob: `..` leads out of the repository
    timeout: 20
      .aldis.yml:5:14: stacks.api.timeout: expected a duration such as 90s, 20m or 1h30m, found a number
    timeout: 0s
      .aldis.yml:5:14: stacks.api.timeout: a duration of zero leaves no time at all
    timeout: 25h
      .aldis.yml:5:14: stacks.api.timeout: longer than the maximum of 24h
    timeout: soon
      .aldis.yml:5:14: stacks.api.timeout: "soon" is no duration; write 90s, 20m or 1h30m
    dir: /srv
      .aldis.yml:5:10: stacks.api.dir: an absolute path; write it from the repository's root, without a leading /
    dir: a/../../b
      .aldis.yml:5:10: stacks.api.dir: `..` leads out of the repository
    env: [A=b]
      .aldis.yml:5:10: stacks.api.env: expected a map, found a list
    env: {1A: x, B: , C: [x]}
      .aldis.yml:5:11: stacks.api.env.1A: not a variable's name; letters, digits and _ only, no digit in front
      .aldis.yml:5:19: stacks.api.env.B: expected a text, found nothing; write "" for an empty value
      .aldis.yml:5:26: stacks.api.env.C: expected a text, found a list
    on: push
      .aldis.yml:5:9: stacks.api.on: expected a map, found a text
    on: {push: {branches: main}, tag: {tag: x}}
      .aldis.yml:5:27: stacks.api.on.push.branches: expected a list of globs, found a text; put it in [ ]
      .aldis.yml:5:40: stacks.api.on.tag: unknown key "tag"; did you mean "tags"?
    on: {merge_request: {actions: [open, merged], draft: no}}
      .aldis.yml:5:36: stacks.api.on.merge_request.actions[0]: unknown word "open"; did you mean "opened"?
      .aldis.yml:5:42: stacks.api.on.merge_request.actions[1]: unknown word "merged"; known here: opened, updated, reopened, ready, retargeted, labeled
      .aldis.yml:5:58: stacks.api.on.merge_request.draft: expected true or false, found a text
    on: {merge_request: {actions: []}}
      .aldis.yml:5:35: stacks.api.on.merge_request.actions: without actions nothing starts; leave `merge_request` out of `on`
    needs: api
      .aldis.yml:5:12: stacks.api.needs: expected a list of stack names, found a text; put it in [ ]
    reports: {junit: out.xml}
      .aldis.yml:5:22: stacks.api.reports.junit: expected a list of globs, found a text; put it in [ ]
    concurrency: {cancel_superseded: maybe}
      .aldis.yml:5:38: stacks.api.concurrency.cancel_superseded: expected true or false, found a text
    executor: bublewrap
      .aldis.yml:5:15: stacks.api.executor: unknown word "bublewrap"; did you mean "bubblewrap"?
    executor: 5
      .aldis.yml:5:15: stacks.api.executor: expected one of bubblewrap, shell, container, found a number
    network: off
      .aldis.yml:5:14: stacks.api.network: unknown word "off"; known here: default, none
    description: 5
      .aldis.yml:5:18: stacks.api.description: expected a text, found a number; put it in quotes
    environment: production
      .aldis.yml:5:18: stacks.api.environment: expected a map, found a text
    environment: {tier: prod}
      .aldis.yml:5:18: stacks.api.environment: an environment without `name`; say which environment of GitLab it is
      .aldis.yml:5:25: stacks.api.environment.tier: unknown word "prod"; known here: production, staging, testing, development, other
    "#);
}

#[test]
fn steps_say_what_they_lack() {
    let rows = [
        "steps: []",
        "steps: make",
        "steps: [make]",
        "steps: [{name: x}]",
        "steps: [{run: }]",
        "steps: [{run: []}]",
        "steps: [{run: ''}]",
        "steps: [{run: [echo: hi]}]",
        "steps: [{run: 5}]",
        "steps: [{run: x, when: never, allow_failure: 1, timeout: 1}]",
        "dir: x",
    ];
    let told = rows.map(|row| {
        let text = format!("version: 1\nstacks:\n  api:\n    {row}");
        format!("{row}\n  {}", bad(&text).replace('\n', "\n  "))
    });
    insta::assert_snapshot!(told.join("\n"), @r#"
    steps: []
      .aldis.yml:4:12: stacks.api.steps: needs at least one step
    steps: make
      .aldis.yml:4:12: stacks.api.steps: expected a list of steps, found a text; put it in [ ]
    steps: [make]
      .aldis.yml:4:13: stacks.api.steps[0]: expected a map, found a text
    steps: [{name: x}]
      .aldis.yml:4:13: stacks.api.steps[0]: a step without `run`; say what it runs
    steps: [{run: }]
      .aldis.yml:4:17: stacks.api.steps[0].run: expected a command or a list of commands, found nothing
    steps: [{run: []}]
      .aldis.yml:4:19: stacks.api.steps[0].run: needs at least one command
    steps: [{run: ''}]
      .aldis.yml:4:19: stacks.api.steps[0].run: expected a text, found an empty one
    steps: [{run: [echo: hi]}]
      .aldis.yml:4:20: stacks.api.steps[0].run[0]: expected a command, found a map; a colon followed by a space makes a map; put the command in quotes
    steps: [{run: 5}]
      .aldis.yml:4:19: stacks.api.steps[0].run: expected a command or a list of commands, found a number
    steps: [{run: x, when: never, allow_failure: 1, timeout: 1}]
      .aldis.yml:4:28: stacks.api.steps[0].when: unknown word "never"; known here: on_success, on_failure, always
      .aldis.yml:4:50: stacks.api.steps[0].allow_failure: expected true or false, found a number
      .aldis.yml:4:62: stacks.api.steps[0].timeout: expected a duration such as 90s, 20m or 1h30m, found a number
    dir: x
      .aldis.yml:3:3: stacks.api: a stack without steps; say under `steps` what it runs
    "#);
}

#[test]
fn environments_keep_gitlabs_rules() {
    let long = format!("environment: {{name: {}}}", "x".repeat(256));
    let far = format!("environment: {{name: a, url: 'https://{}'}}", "x".repeat(250));
    let rows = [
        "environment: {}",
        "environment: {name: /prod}",
        "environment: {name: 'prod!'}",
        "environment: {name: a, url: ftp://x}",
        "environment: {name: a, url: 'https://'}",
        "environment: {name: a, url: 'https://u:p@host/'}",
        "environment: {name: a, tracked_branch: refs/heads/main}",
        "environment: {name: a, tracked_branch: 'release/*'}",
        "environment: {name: a, report_drift: true}",
        &long,
        &far,
    ];
    let told = rows.map(bad_stack);
    insta::assert_snapshot!(told.join("\n"), @r#"
    .aldis.yml:5:18: stacks.api.environment: an environment without `name`; say which environment of GitLab it is
    .aldis.yml:5:25: stacks.api.environment.name: may not start or end with /
    .aldis.yml:5:25: stacks.api.environment.name: may have only letters, digits, spaces and _ / $ { } . -
    .aldis.yml:5:33: stacks.api.environment.url: expected an address that starts with https:// or http://
    .aldis.yml:5:33: stacks.api.environment.url: expected an address that starts with https:// or http://
    .aldis.yml:5:33: stacks.api.environment.url: an address may not carry a user or password
    .aldis.yml:5:44: stacks.api.environment.tracked_branch: write the branch's name alone, without refs/heads/
    .aldis.yml:5:44: stacks.api.environment.tracked_branch: expected one branch, found a glob
    .aldis.yml:5:28: stacks.api.environment: the key "report_drift" is not available yet; leave it out
    .aldis.yml:5:25: stacks.api.environment.name: longer than 255 characters
    .aldis.yml:5:33: stacks.api.environment.url: longer than 255 characters
    "#);
    good(
        "version: 1\nstacks: {a: {steps: [{run: x}], environment: {name: 'review/${X} a.b-c_d'}}}",
    );
}

#[test]
fn status_names_fit_gitlab() {
    let file = |status: &str| {
        format!("version: 1\nstatus: {status}\nstacks: {{api: {{steps: [{{run: x}}]}}}}")
    };
    let long = format!("{{prefix: {}}}", "p".repeat(253));
    let rows = [
        "{prefix: ''}",
        "{prefix: a//b}",
        "{prefix: 'a b'}",
        "{aggregate: true}",
        "{aggregate: aldis/api}",
        &long,
    ];
    insta::assert_snapshot!(rows.map(|row| bad(&file(row))).join("\n"), @r#"
    .aldis.yml:2:18: status.prefix: expected a text, found an empty one
    .aldis.yml:2:18: status.prefix: not a status name; letters, digits and _ . - in parts with / between them
    .aldis.yml:2:18: status.prefix: not a status name; letters, digits and _ . - in parts with / between them
    .aldis.yml:2:21: status.aggregate: expected a name or false, found true
    .aldis.yml:3:10: stacks.api: its status name is also that of `status.aggregate`: "aldis/api"; change one of them
    .aldis.yml:3:10: stacks.api: its status name would have more than 255 characters; shorten `status.prefix`
    "#);
    let (config, warnings) = read(file("{prefix: ci/x, aggregate: false}").as_bytes()).unwrap();
    assert_eq!((config.status.prefix.as_str(), &config.status.aggregate), ("ci/x", &None));
    insta::assert_snapshot!(lines(&warnings), @".aldis.yml:2:35: warning: status.aggregate: nothing blocks merging before the stacks to run are known; keep it if pipelines must succeed");
}

#[test]
fn stack_names_are_plain() {
    let long = "x".repeat(64);
    let rows = ["Api", "-api", "a b", "é", &long];
    let file = |name: &str| format!("version: 1\nstacks:\n  \"{name}\": {{steps: [{{run: x}}]}}");
    insta::assert_snapshot!(rows.map(|row| bad(&file(row))).join("\n"), @r#"
    .aldis.yml:3:3: stacks.Api: not a stack's name; 1 to 63 of a-z 0-9 _ . - with a letter or digit in front
    .aldis.yml:3:3: stacks.-api: not a stack's name; 1 to 63 of a-z 0-9 _ . - with a letter or digit in front
    .aldis.yml:3:3: stacks.a b: not a stack's name; 1 to 63 of a-z 0-9 _ . - with a letter or digit in front
    .aldis.yml:3:3: stacks.é: not a stack's name; 1 to 63 of a-z 0-9 _ . - with a letter or digit in front
    .aldis.yml:3:3: stacks.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: not a stack's name; 1 to 63 of a-z 0-9 _ . - with a letter or digit in front
    "#);
}

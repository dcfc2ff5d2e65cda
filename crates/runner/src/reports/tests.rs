use super::*;

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn junit(globs: &[&str]) -> Reports {
    Reports { junit: globs.iter().map(|g| (*g).to_owned()).collect(), ..Reports::default() }
}

fn plans(globs: &[&str]) -> Reports {
    let terraform_plan = globs.iter().map(|g| (*g).to_owned()).collect();
    Reports { terraform_plan, ..Reports::default() }
}

fn told(found: &Found) -> String {
    let tests = found.tests.as_ref().map(|t| serde_json::to_string_pretty(t).unwrap());
    let plans: Vec<String> =
        found.plans.iter().map(|p| serde_json::to_string_pretty(p).unwrap()).collect();
    let mut parts = Vec::from_iter(tests);
    parts.extend(plans);
    parts.extend(found.remarks.iter().cloned());
    parts.join("\n")
}

const SUITE: &str = r#"<?xml version="1.0"?>
<testsuites><testsuite name="s" tests="99">
  <testcase classname="a.B" name="adds" time="0.25"/>
  <testcase classname="a.B" name="divides" time="1.5">
    <failure message="expected &lt;1&gt;, got &quot;2&quot;">trace</failure>
    <failure message="second"/>
  </testcase>
  <testcase name="explodes"><error><![CDATA[boom
at line 1]]></error><system-out>noise</system-out></testcase>
  <testcase name="waits"><skipped/></testcase>
</testsuite></testsuites>"#;

#[test]
fn junit_files_are_summed_by_test_case() {
    let dir =
        tree(&[("svc/out/a.xml", SUITE), ("svc/out/deep/b.xml", SUITE), ("svc/c.txt", SUITE)]);
    let found = collect(dir.path(), "svc", &junit(&["out/**/*.xml"]));
    let tests = found.tests.unwrap();
    assert_eq!((tests.total, tests.failed, tests.errored, tests.skipped), (8, 2, 2, 2));
    assert_eq!(tests.millis, 3500);
    insta::assert_snapshot!(serde_json::to_string_pretty(&tests.failures[..2]).unwrap(), @r#"
    [
      {
        "name": "a.B::divides",
        "message": "expected <1>, got \"2\""
      },
      {
        "name": "explodes",
        "message": "boom\nat line 1"
      }
    ]
    "#);
}

#[test]
fn junk_reports_become_remarks() {
    let dir = tree(&[
        ("1.xml", "not xml"),
        ("2.xml", "<html><body>404</body></html>"),
        ("3.xml", "<testsuite><testcase name='x'>"),
        ("4.xml", ""),
        ("5.xml", "<testsuite><a></b></testsuite>"),
        ("6.xml", &("<testsuite>".to_owned() + &"<a>".repeat(200))),
    ]);
    let found = collect(dir.path(), ".", &junit(&["*.xml", "missing.xml"]));
    insta::assert_snapshot!(told(&found), @r"
    1.xml: not a readable JUnit file: it has no testsuite element
    2.xml: not a readable JUnit file: it has no testsuite element
    3.xml: not a readable JUnit file: the file ends too early
    4.xml: not a readable JUnit file: it has no testsuite element
    5.xml: not a readable JUnit file: ill-formed document: expected `</a>`, but `</b>` was found
    6.xml: not a readable JUnit file: elements are nested too deeply
    missing.xml: no such report file
    ");
}

#[test]
fn entities_are_not_expanded() {
    let bomb = r#"<!DOCTYPE t [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]>
        <testsuite><testcase name="&b;"><failure>&b; &amp; &#65;</failure></testcase></testsuite>"#;
    let dir = tree(&[("r.xml", bomb)]);
    let found = collect(dir.path(), ".", &junit(&["r.xml"]));
    let failure = &found.tests.unwrap().failures[0];
    assert_eq!((failure.name.as_str(), failure.message.as_str()), ("&b;", "& A"));
}

#[test]
fn fifty_failures_are_kept() {
    let case = "<testcase name='x'><failure/></testcase>";
    let file = format!("<testsuite>{}</testsuite>", case.repeat(70));
    let dir = tree(&[("r.xml", &file)]);
    let tests = collect(dir.path(), ".", &junit(&["r.xml"])).tests.unwrap();
    assert_eq!((tests.failed, tests.failures.len()), (70, 50));
}

#[test]
fn links_and_devices_are_not_followed() {
    let outside = tree(&[("secret.xml", SUITE)]);
    let dir = tree(&[("inside.xml", SUITE)]);
    let link =
        |to: &Path, name: &str| std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
    link(&outside.path().join("secret.xml"), "file.xml");
    link(outside.path(), "dir");
    link(Path::new("inside.xml"), "own.xml");
    let globs = [
        "file.xml",
        "dir/secret.xml",
        "dir/*.xml",
        "own.xml",
        "../x/*.xml",
        "/etc/passwd",
        "../secret.xml",
    ];
    let found = collect(dir.path(), ".", &junit(&globs));
    insta::assert_snapshot!(told(&found), @r"
    ../secret.xml: links are not followed for reports
    /etc/passwd: links are not followed for reports
    dir/secret.xml: links are not followed for reports
    file.xml: links are not followed for reports
    own.xml: links are not followed for reports
    ");
}

#[test]
fn a_stack_directory_that_leads_out_is_refused() {
    let outside = tree(&[("a.xml", SUITE)]);
    let dir = tree(&[]);
    std::os::unix::fs::symlink(outside.path(), dir.path().join("svc")).unwrap();
    let found = collect(dir.path(), "svc", &junit(&["*.xml"]));
    insta::assert_snapshot!(told(&found), @"reports: the directory `svc` cannot be read");
}

#[test]
fn a_plan_is_told_without_its_secrets() {
    let plan = serde_json::json!({"format_version": "1.2", "resource_changes": [
        {"address": "db.main", "change": {"actions": ["update"],
            "before": {"size": 1, "password": "old-secret", "tags": {"a": "x"}, "nested": [{"key": "n1"}]},
            "after": {"size": 2, "password": "new-secret", "tags": {"a": "x"}, "nested": [{"key": "n2"}]},
            "after_unknown": {"id": true}, "before_sensitive": {"password": true},
            "after_sensitive": {"password": true, "nested": [{"key": true}]}}},
        {"address": "vm.web[0]", "change": {"actions": ["delete", "create"],
            "before": {"image": "a"}, "after": {"image": "b"}, "after_sensitive": false}},
        {"address": "key.all", "change": {"actions": ["create"], "before": null,
            "after": {"pem": "secret-pem"}, "after_sensitive": true, "after_unknown": {}}},
        {"address": "gone.x", "change": {"actions": ["delete"], "before": {"a": "b"}, "after": null}},
        {"address": "same.x", "change": {"actions": ["no-op"], "before": {}, "after": {}}},
    ]});
    let dir = tree(&[("plan.json", &plan.to_string())]);
    let found = collect(dir.path(), ".", &plans(&["plan.json"]));
    let text = told(&found);
    assert!(!text.contains("-secret") && !text.contains("secret-") && !text.contains("n2"));
    insta::assert_snapshot!(text, @r#"
    {
      "file": "plan.json",
      "add": 2,
      "change": 1,
      "destroy": 2,
      "resources": [
        {
          "address": "db.main",
          "action": "update",
          "attributes": [
            "id: (none) → (known after apply)",
            "nested: (sensitive) → (sensitive)",
            "password: (sensitive) → (sensitive)",
            "size: 1 → 2"
          ]
        },
        {
          "address": "vm.web[0]",
          "action": "replace",
          "attributes": [
            "image: \"a\" → \"b\""
          ]
        },
        {
          "address": "key.all",
          "action": "create",
          "attributes": [
            "pem: (none) → (sensitive)"
          ]
        },
        {
          "address": "gone.x",
          "action": "delete",
          "attributes": []
        }
      ]
    }
    "#);
}

#[test]
fn junk_plans_become_remarks_that_quote_nothing() {
    let dir = tree(&[
        ("a.json", "{\"format_version\": \"1\", \"resource_changes\": \"hunter2\"}"),
        ("b.json", "junk"),
        ("c.json", &"[".repeat(100_000)),
    ]);
    let found = collect(dir.path(), ".", &plans(&["*.json"]));
    insta::assert_snapshot!(told(&found), @r"
    a.json: not a readable plan: not the fields of a plan (line 1, column 53)
    b.json: not a readable plan: no JSON (line 1, column 1)
    c.json: not a readable plan: not the fields of a plan (line 1, column 1)
    ");
}

//! Config files that cannot be used: a failed status and a comment with line and column.

use std::fmt::Write as _;

use aldis_tests::Story;

use crate::goes_on;

/// Pushes the file, proposes it, and looks: the status, then the comment's headline and findings.
async fn told(story: &Story, file: &str) -> String {
    let mr = story.propose_commit("A", &[(".aldis.yml", file)]);
    story.settle().await;
    assert_eq!(story.runs().await, "", "nothing runs by a file that cannot be used");
    assert!(story.shows("A", "aldis", "failed"), "{}", story.page(mr));
    assert_eq!(story.headline(mr), "### ✗ `.aldis.yml` cannot be used");
    story.statuses("A")
}

#[tokio::test]
async fn no_yaml() {
    let story = Story::start().await;
    insta::assert_snapshot!(told(&story, "version: 1\nstacks: [unclosed\n  - \"\n").await, @r#"
    feature A: failed (external)
      aldis: failed ".aldis.yml:2:9: not readable as YAML: unclosed bracket '['"
    "#);
    goes_on(story).await;
}

#[tokio::test]
async fn a_file_of_300_kb() {
    let story = Story::start().await;
    let file = format!("version: 1\nstacks: {{}}\n{}", "# filler\n".repeat(300 * 1024 / 9));
    insta::assert_snapshot!(told(&story, &file).await, @r#"
    feature A: failed (external)
      aldis: failed ".aldis.yml:1:1: larger than 256 KiB"
    "#);
    goes_on(story).await;
}

#[tokio::test]
async fn an_alias_bomb() {
    let story = Story::start().await;
    let mut file = String::from("version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let ten = vec![format!("*a{}", n - 1); 10].join(", ");
        writeln!(file, "a{n}: &a{n} [{ten}]").unwrap();
    }
    insta::assert_snapshot!(told(&story, &file).await, @r#"
    feature A: failed (external)
      aldis: failed ".aldis.yml:6:10: aliases repeat more than 20000 elements"
    "#);
    goes_on(story).await;
}

#[tokio::test]
async fn a_stack_named_twice() {
    let story = Story::start().await;
    let file = "version: 1\nstacks:\n  ci:\n    steps: [{ run: 'true' }]\n  ci:\n    steps: [{ run: 'false' }]\n";
    insta::assert_snapshot!(told(&story, file).await, @r#"
    feature A: failed (external)
      aldis: failed ".aldis.yml:5:3: stacks: "ci" stands here twice, first in line 3; keep one of them"
    "#);
    goes_on(story).await;
}

#[tokio::test]
async fn stacks_that_need_each_other() {
    let story = Story::start().await;
    let file = "version: 1\nstacks:\n  a: { steps: [{ run: 'true' }], needs: [b] }\n  \
                b: { steps: [{ run: 'true' }], needs: [c] }\n  c: { steps: [{ run: 'true' }], needs: [a] }\n";
    insta::assert_snapshot!(told(&story, file).await, @r#"
    feature A: failed (external)
      aldis: failed ".aldis.yml:5:42: stacks.c.needs[0]: these stacks wait for each other: a → b → c → a"
    "#);
    goes_on(story).await;
}

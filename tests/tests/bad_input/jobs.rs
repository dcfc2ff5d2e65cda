//! Jobs that misbehave.

use aldis_tests::{Setup, Story};

use crate::goes_on;

/// One stack that runs `ci.sh` for some seconds at most and reports what it finds.
const LIMITED: &str = "\
version: 1
stacks:
  ci:
    steps:
      - { name: test, run: sh ci.sh }
    timeout: 8s
    reports: { junit: [report.xml] }
";

/// Pushes the script and proposes it; the statuses when all has settled.
async fn run(story: &Story, script: &str) -> String {
    story.propose_commit("A", &[("ci.sh", script)]);
    story.settle().await;
    story.statuses("A")
}

#[tokio::test]
async fn a_step_that_prints_a_gigabyte() {
    let story = Story::start().await;
    insta::assert_snapshot!(run(&story, "head -c 1000000000 /dev/zero; exit 3\n").await, @r#"
    feature A: failed (external)
      aldis: failed "1 of 1 stack failed: ci"
      aldis/ci: failed "test failed with exit code 3"
    "#);
    let mut kept = 0;
    for (_, event) in story.log().await {
        let aldis_domain::event::Event::AttemptStarted(attempt) = event else { continue };
        for (stream, _) in story.log().await {
            let Some(run) = stream.strip_prefix("run-") else { continue };
            let chunks = story.bot.store.log_after(run, attempt.epoch, None, 100_000).await;
            kept = kept.max(chunks.unwrap().iter().map(|chunk| chunk.bytes.len()).sum());
        }
    }
    assert!((1..64 << 20).contains(&kept), "{kept} bytes are kept");
    goes_on(story).await;
}

#[tokio::test]
async fn a_fork_bomb() {
    let story = Story::start().await;
    // Nothing is forked behind the bomb: it leaves no room for that.
    let bomb = "bomb() { bomb | bomb & sleep 30; }\n\
                sleep 1 & timer=$!\n(bomb) 2>/dev/null &\nwait $timer\nexit 4\n";
    insta::assert_snapshot!(run(&story, bomb).await, @r#"
    feature A: failed (external)
      aldis: failed "1 of 1 stack failed: ci"
      aldis/ci: failed "test failed with exit code 4"
    "#);
    goes_on(story).await;
}

#[tokio::test]
async fn a_step_that_never_ends() {
    let story = Setup::USUAL.with(LIMITED).start().await;
    let script = "trap '' TERM INT HUP\nwhile :; do sleep 1; done\n";
    insta::assert_snapshot!(run(&story, script).await, @r#"
    feature A: failed (external)
      aldis: failed "1 of 1 stack failed: ci"
      aldis/ci: failed "test ran out of time after T"
    "#);
    goes_on(story).await;
}

#[tokio::test]
async fn a_report_that_is_no_xml() {
    let story = Setup::USUAL.with(LIMITED).start().await;
    insta::assert_snapshot!(run(&story, "echo 'no <xml' >report.xml\n").await, @r#"
    feature A: success (external)
      aldis: success "1 stack passed"
      aldis/ci: success "passed in T"
    "#);
    let log = story.log().await;
    let remarks: Vec<String> = log
        .iter()
        .filter_map(|(_, event)| match event {
            aldis_domain::event::Event::RunFinished(finished) => Some(&finished.report.remarks),
            _ => None,
        })
        .flatten()
        .cloned()
        .collect();
    insta::assert_snapshot!(remarks.join("\n"), @"report.xml: not a readable JUnit file: syntax error: tag not closed: `>` not found before end of input");
    goes_on(story).await;
}

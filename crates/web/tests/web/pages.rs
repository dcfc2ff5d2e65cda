use aldis_domain::event::Event;
use serde_json::json;

use crate::site::{Site, fact, finished, planned, requested, run_id, sha, started, story};

#[tokio::test]
async fn an_empty_house_says_what_to_do_next() {
    let mut site = Site::new().await;
    let page = site.get("/").await;
    assert_eq!(page.status, 200);
    insta::assert_snapshot!(page.text(), @r"
    Runs and deliveries
    Warning: GIT_SSL_VERIFY=false
    Runs
    Nothing has run yet.
    Deliveries
    GitLab has sent nothing yet. To begin:
    In the GitLab project, open Settings → Webhooks and add this URL: http://localhost:8080/api/webhooks/gitlab
    Give it the secret token that Aldis was started with, and tick push, tag push, merge request, comment and pipeline events.
    Commit an .aldis.yml to the project and push. The delivery appears here within a second.
    The URL is the one you see this page by. If GitLab reaches this server by another, set ALDIS_BASE_URL.
    ");
    site.settings.base_url = Some("http://localhost:9999/".parse().unwrap());
    let page = site.get("/").await;
    assert!(
        page.body.contains("<code class=\"copy\">http://localhost:9999/api/webhooks/gitlab</code>")
    );
    assert!(!page.body.contains("ALDIS_BASE_URL"));
}

#[tokio::test]
async fn the_first_page_lists_what_came_and_what_ran() {
    let site = Site::new().await;
    story(&site).await;
    insta::assert_snapshot!(site.get("/").await.text(), @r"
    Runs and deliveries
    Warning: GIT_SSL_VERIFY=false
    Runs
    | State | Stack | For | Result | When
    | ✗ failed
    | api
    | group/app !7 aaaaaaaa
    | 1 failed of 120 tests; +1 ~0 −1
    | just now · 32 s
    Deliveries
    | Outcome | What | Project | Decision | When
    | ✓ runs
    | !7 got new commits
    | group/app
    | 1 of 2 stacks runs
    | just now
    ");
    let other = site.get("/?project=1.43").await;
    assert!(other.text().contains("Nothing has run yet"), "{}", other.text());
    assert!(site.get("/?project=1.42").await.body.contains("https://gitlab.example/group/app"));
}

#[tokio::test]
async fn a_run_says_why_it_ran_and_what_came_of_it() {
    let site = Site::new().await;
    let run = story(&site).await;
    let page = site.get(&format!("/runs/{run}")).await;
    insta::assert_snapshot!(page.text(), @r"
    ✗ failed
    api
    1 failed of 120 tests; +1 ~0 −1
    !7 ·
    commit aaaaaaaa ·
    just now · took 32 s
    Why it ran
    api/main.rs changed, which matches api/**.
    Asked by: delivery shared-d1
    Author: member of the project
    Tests
    1 failed of 120 tests, 2 skipped, in 8 s.
    api::it_adds
    left: 4, right: 5
    Plan +1 ~0 −1
    plan.json
    replace aws_instance.web[0]
    ami: a → b
    Steps
    build ✓ passed · 21 s
    test ✗ failed exit code 101 · 9 s
    Remarks
    memory was not limited: no cgroup here
    Attempts
    host/1 just now, ended
    Log
    Download as text
    build
    1 compiling api
    2 warning: <unused>
    test
    3 test it_adds … FAILED
    ");
    assert!(page.body.contains("<title>failed: api · Aldis</title>"));
    assert!(page.body.contains("href=\"/deliveries/shared-d1\""));
    assert!(page.body.contains("href=\"/changes/mr-1.42-7\""));
    assert!(page.body.contains("id=\"L3\"><a href=\"#L3\""));
    assert!(page.body.contains("<b class=\"bold ink1\">FAILED</b>"));
    assert!(!page.body.contains("<script"), "a finished run needs no script");
}

#[tokio::test]
async fn a_running_run_goes_on_by_itself_or_by_reloading() {
    let site = Site::new().await;
    let run = run_id(2);
    let lost = Event::AttemptLost(fact(json!({"epoch": 5, "counts": true}), json!({})));
    let events = vec![requested(&run, json!({})), started(1, 5, "a/1"), lost, started(2, 9, "b/1")];
    site.append(&format!("run-{run}"), events).await;
    site.log(&run, 5, &[(1, 0, "first try\n")]).await;
    site.log(&run, 9, &[(1, 0, "second try\nhalf a l")]).await;
    // Not projected: the page makes do with the run's own stream.
    let page = site.get(&format!("/runs/{run}")).await;
    insta::assert_snapshot!(page.text(), @r"
    ▶ running
    api
    On b/1.
    !7 ·
    commit aaaaaaaa ·
    just now
    Why it ran
    api/main.rs changed, which matches api/**.
    Asked by: delivery shared-d1
    Author: member of the project
    Steps
    build ▶ running
    test ⋯ not run
    Attempts
    a/1 just now, the runner was lost · its log
    b/1 just now, running (its log is below)
    Log
    The log goes on while the run does. Reload this page to see more of it.
    Download as text
    build
    1 second try
    2 half a l
    ");
    assert!(page.body.contains(&format!("data-live=\"/runs/{run}/log?after=9.1\"")));
    assert!(page.body.contains("data-open"));
    assert!(page.body.contains("<noscript>"));
    let first = site.get(&format!("/runs/{run}?epoch=5")).await;
    assert!(first.body.contains("first try") && !first.body.contains("second try"));
    assert!(!first.body.contains("data-live"));
}

#[tokio::test]
async fn a_long_log_shows_its_end_and_keeps_its_numbers() {
    let site = Site::new().await;
    let run = run_id(3);
    site.append(
        &format!("run-{run}"),
        vec![
            requested(&run, json!({})),
            started(1, 5, "a/1"),
            finished(&run, 5, "passed", json!({"steps": []})),
        ],
    )
    .await;
    let text: String = (1..=5_000).map(|n| format!("line {n}\n")).collect();
    site.log(&run, 5, &[(1, 0, &text)]).await;
    let page = site.get(&format!("/runs/{run}")).await;
    assert_eq!(page.body.matches("class=\"row\"").count(), 2_000);
    assert!(page.body.contains("id=\"L5000\"") && page.body.contains("id=\"L3001\""));
    assert!(page.body.contains("the first 3000 lines are only there"));
    let download = site.get(&format!("/runs/{run}/log.txt")).await;
    assert_eq!(download.body, text);
    assert_eq!(download.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(download.header("x-content-type-options"), "nosniff");
    assert!(download.header("content-disposition").starts_with("attachment;"));
}

#[tokio::test]
async fn a_delivery_tells_what_was_decided_per_stack() {
    let site = Site::new().await;
    story(&site).await;
    insta::assert_snapshot!(site.get("/deliveries/shared-d1").await.text(), @r"
    ✓ runs
    !7 got new commits
    Every stack was decided on; see below.
    group/app · by user 3 ·
    just now · decided after 0 ms
    !7 at aaaaaaaa
    | Stack | Decision | Why
    | api
    | ✗ failed
    | api/main.rs changed, which matches api/**
    | web
    | – does not run
    | none of the 3 changed files matches web/**
    The delivery
    GitLab event: Merge Request Hook
    Hook: shared
    Verified by: secret token
    Webhook id: d1
    Sent from: 10.1.2.3
    Size: 5120 bytes
    Payload (SHA-256): abababababababababababababababababababababababababababababababab
    ");
}

#[tokio::test]
async fn refused_and_unread_deliveries_say_what_to_do() {
    let site = Site::new().await;
    let refused = json!({"hook": "shared", "event": "Push Hook", "reason": "wrong_secret",
        "source_ip": "10.9.9.9", "times": 12});
    let unread = json!({"hook": "shared", "key": "q1", "event": "Push Hook", "verified": "token",
        "bytes": 12, "payload": "ab", "problem": "line 1, column 4: no project"});
    site.append("refusals-shared", vec![Event::DeliveryRefused(fact(refused, json!({})))]).await;
    site.append("delivery-shared-q1", vec![Event::DeliveryQuarantined(fact(unread, json!({})))])
        .await;
    site.project().await;
    insta::assert_snapshot!(site.get("/deliveries/refused-1").await.text(), @r"
    ✗ refused
    Push Hook
    Its secret token is another one. Set the webhook's secret token in GitLab to the one Aldis was given. This happened 12 times.
    just now
    The delivery
    GitLab event: Push Hook
    Hook: shared
    Verified by: not authentic
    Sent from: 10.9.9.9
    ");
    insta::assert_snapshot!(site.get("/deliveries/shared-q1").await.text(), @r"
    ! not understood
    Push Hook
    It is authentic and kept, but could not be read: line 1, column 4: no project
    just now
    The delivery
    GitLab event: Push Hook
    Hook: shared
    Verified by: secret token
    Webhook id: q1
    Size: 12 bytes
    Payload (SHA-256): ab
    ");
}

#[tokio::test]
async fn a_change_shows_its_plans_newest_first() {
    let site = Site::new().await;
    let run = story(&site).await;
    let broken = json!({"sha": sha('b'), "trust": "fork", "access_level": 0,
        "config": {"at": "main", "digest": null},
        "verdict": {"verdict": "config_error", "findings": ["3:5 unknown key `stpes`"]},
        "stacks": [], "changed_paths": null, "posting_project": "1.42", "lane": "x"});
    let command = json!({"note": 9, "command": {"command": "retest"}, "actor": 3,
        "access_level": 10, "refused": "commands need the Developer role"});
    site.append(
        "change-mr-1.42-7",
        vec![
            Event::ChangePlanned(fact(broken, json!({}))),
            Event::CommandHandled(fact(command, json!({}))),
        ],
    )
    .await;
    site.project().await;
    let page = site.get("/changes/mr-1.42-7").await;
    insta::assert_snapshot!(page.text(), @r"
    !7
    group/app · fix → main · head aaaaaaaa · open in GitLab
    Plan for bbbbbbbb just now
    The config file cannot be used:
    3:5 unknown key `stpes`
    which files changed is not known · config from main · from a fork
    Plan for aaaaaaaa just now
    Stacks run.
    | Stack | Decision | Why
    | api
    | ✗ failed
    | api/main.rs changed, which matches api/**
    | web
    | – does not run
    | none of the 3 changed files matches web/**
    3 changed files · config from aaaaaaaa…
    Commands
    /retest by user 3, just now: refused, commands need the Developer role
    ");
    assert!(page.body.contains("https://gitlab.example/group/app/-/merge_requests/7"));
    assert!(page.body.contains(&format!("/runs/{run}")));
}

#[tokio::test]
async fn a_branch_with_slashes_has_a_page() {
    let site = Site::new().await;
    let key = "ref-1.42-refs/heads/feature/a b";
    site.append(&format!("change-{key}"), vec![planned(&run_id(1))]).await;
    for path in ["/changes/ref-1.42-refs%2Fheads%2Ffeature%2Fa%20b"] {
        let page = site.get(path).await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("feature/a b"));
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let site = Site::new().await;
    for path in [
        "/runs/nonsense",
        "/runs/00000000000000000000000000",
        "/runs/00000000000000000000000000/log",
        "/runs/00000000000000000000000000/log.txt",
        "/deliveries/none",
        "/deliveries/%00%ff",
        "/changes/mr-1.42-1",
        "/changes/nonsense",
        "/assets/style.css",
    ] {
        let page = site.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(page.body.contains("Not found"), "{path}: {}", page.body);
    }
}

#[tokio::test]
async fn lists_go_on_where_a_page_ends() {
    let site = Site::new().await;
    for number in 0..70 {
        let run = run_id(number);
        site.append(
            &format!("run-{run}"),
            vec![requested(&run, json!({"stack": format!("s{number}")}))],
        )
        .await;
    }
    site.project().await;
    let mut path = "/".to_owned();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let page = site.get(&path).await;
        let names = page.body.split("<td class=\"name\">").skip(1);
        seen.extend(
            names.map(|cell| {
                cell.split_once("\">").unwrap().1.split_once('<').unwrap().0.to_owned()
            }),
        );
        let older = page.body.split_once("\">Older runs").map(|(before, _)| before);
        path = older
            .map_or(String::new(), |before| before.rsplit_once("href=\"").unwrap().1.to_owned());
    }
    let expected: Vec<String> = (0..70).rev().map(|number| format!("s{number}")).collect();
    assert_eq!(seen, expected);
    assert!(path.is_empty());
}

//! Git over HTTP, and what the API says about a repository.

use aldis_gitlab_sim::{Options, Scope, Trigger};
use serde_json::json;

use crate::world::{World, git};

impl World {
    fn clone_url(&self, password: &str) -> String {
        let url = format!("{}.git", self.sim.project_url(self.project));
        url.replace("http://", &format!("http://oauth2:{password}@"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_and_fetches_a_commit_by_its_sha() {
    let options = Options { base_path: "/gitlab".to_owned(), ..Options::default() };
    let world = World::start_with(options).await;
    let (_, b) = world.feature();
    let dir = tempfile::tempdir().unwrap();
    let token = world.sim.create_token(world.bot, &[Scope::ReadRepository], None).unwrap();
    let url = world.clone_url(&token);
    git(dir.path(), &["clone", "-q", &url, "copy"]).unwrap();
    let copy = dir.path().join("copy");
    assert_eq!(git(&copy, &["rev-parse", "HEAD"]).unwrap(), world.a);
    world.alice().delete_branch(world.project, "feature").unwrap();
    git(&copy, &["fetch", "-q", "origin", &b]).unwrap();
    assert_eq!(git(&copy, &["rev-parse", "FETCH_HEAD"]).unwrap(), b);
    git(&copy, &["fetch", "-q", "origin", "refs/merge-requests/1/head"]).unwrap();
    assert_eq!(git(&copy, &["rev-parse", "FETCH_HEAD"]).unwrap(), b);
    let refs = git(&copy, &["ls-remote", "origin"]).unwrap();
    assert!(!refs.contains("simulator"), "{refs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_without_a_good_token() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let plain = format!("{}.git", world.sim.project_url(world.project));
    let anonymous = world.http.get(format!("{plain}/info/refs?service=git-upload-pack"));
    let answer = anonymous.send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().contains_key("www-authenticate"));

    let try_clone = |token: &str| git(dir.path(), &["clone", "-q", &world.clone_url(token), "x"]);
    assert!(try_clone("wrong").unwrap_err().contains("Authentication failed"));
    let narrow = world.sim.create_token(world.bot, &[Scope::ReadApi], None).unwrap();
    assert!(try_clone(&narrow).unwrap_err().contains("403"));
    let stranger = world.sim.create_user("stranger");
    let foreign = world.sim.create_token(stranger, &[Scope::Api], None).unwrap();
    assert!(try_clone(&foreign).unwrap_err().contains("not found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_over_http_fires_the_hooks() {
    let world = World::start().await;
    let (mr, b) = world.feature();
    world.sim.hold_deliveries();
    let secret = aldis_gitlab_sim::Secret::None;
    world.sim.add_hook(world.project, "http://127.0.0.1:9/", secret, Trigger::ALL).unwrap();
    let token = world.sim.create_token(world.alice, &[Scope::WriteRepository], None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["clone", "-q", "-b", "feature", &world.clone_url(&token), "copy"]).unwrap();
    let copy = dir.path().join("copy");
    std::fs::write(copy.join("more.txt"), "x".repeat(2_000_000)).unwrap();
    git(&copy, &["add", "."]).unwrap();
    git(&copy, &["commit", "-qm", "More"]).unwrap();
    git(&copy, &["push", "-q"]).unwrap();
    let head = git(&copy, &["rev-parse", "HEAD"]).unwrap();
    assert_eq!(world.sim.merge_request_page(mr).unwrap().head, head);
    let held = world.sim.held_deliveries();
    let fired: Vec<Trigger> = held.iter().map(|delivery| delivery.trigger).collect();
    assert_eq!(fired, [Trigger::Push, Trigger::MergeRequests]);
    let update: serde_json::Value = serde_json::from_slice(&held[1].body).unwrap();
    assert_eq!(update["object_attributes"]["oldrev"], json!(b));

    // More than three branches in one push: GitLab fires nothing.
    for name in ["a", "b", "c", "d"] {
        git(&copy, &["branch", name]).unwrap();
    }
    git(&copy, &["push", "-q", "origin", "a", "b", "c", "d"]).unwrap();
    assert_eq!(world.sim.held_deliveries().len(), 2);
    assert_eq!(world.sim.branch_head(world.project, "d").unwrap(), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_negotiation_is_sent_compressed_and_understood() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["clone", "-q", &world.clone_url(&world.token), "copy"]).unwrap();
    let copy = dir.path().join("copy");
    // Git compresses a request of more than 1 KB; forty unknown commits make it so.
    for number in 0..40 {
        git(&copy, &["commit", "-q", "--allow-empty", "-m", &number.to_string()]).unwrap();
    }
    let files = [("x", Some("x"))];
    let head = world.alice().commit_and_push(world.project, "main", &files, "More").unwrap();
    for version in ["protocol.version=0", "protocol.version=2"] {
        git(&copy, &["-c", version, "fetch", "-q", "origin", "main"]).unwrap();
        assert_eq!(git(&copy, &["rev-parse", "FETCH_HEAD"]).unwrap(), head);
        git(&copy, &["update-ref", "-d", "refs/remotes/origin/main"]).unwrap();
    }
}

#[tokio::test]
async fn diffs_show_renames_additions_and_deletions() {
    let world = World::start().await;
    let files = [
        ("src/old.txt", None),
        ("src/moved.txt", Some("1\n2\n3\n4\n")),
        ("README.md", Some("hello\nworld\n")),
        ("run.sh", Some("#!/bin/sh\n")),
        ("odd \"näme\".txt", Some("x\n")),
    ];
    let b = world.alice().commit_and_push(world.project, "feature", &files, "Change").unwrap();
    world.alice().propose(world.project, "feature", "Change").unwrap();
    // The target moves on; the merge request's diff stays against the merge base.
    let other = [("other.txt", Some("other\n"))];
    world.alice().commit_and_push(world.project, "main", &other, "Other").unwrap();
    let path = format!("projects/{}/merge_requests/1/diffs", world.project);
    let diffs = world.get(&path).await.1;
    let line = |diff: &serde_json::Value| {
        let flags = ["new_file", "renamed_file", "deleted_file"];
        let flags: Vec<&str> = flags.into_iter().filter(|flag| diff[*flag] == true).collect();
        let (old, new) = (diff["old_path"].as_str().unwrap(), diff["new_path"].as_str().unwrap());
        let patch = diff["diff"].as_str().unwrap().replace('\n', "⏎");
        format!("{old} → {new} {} {} {patch}", diff["b_mode"].as_str().unwrap(), flags.join(","))
    };
    let text: Vec<String> = diffs.as_array().unwrap().iter().map(line).collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    README.md → README.md 100644  @@ -1 +1,2 @@⏎ hello⏎+world⏎
    odd "näme".txt → odd "näme".txt 100644 new_file @@ -0,0 +1 @@⏎+x⏎
    run.sh → run.sh 100755 new_file @@ -0,0 +1 @@⏎+#!/bin/sh⏎
    src/old.txt → src/moved.txt 100644 renamed_file
    "#);
    let compare = format!("projects/{}/repository/compare?from=main&to={b}", world.project);
    let compared = world.get(&compare).await.1;
    assert_eq!(compared["diffs"].as_array().unwrap().len(), 4);
    assert_eq!(compared["commits"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn files_branches_and_tags_are_read_by_encoded_names() {
    let world = World::start().await;
    let files = [("src/new.txt", Some("new\n"))];
    let b = world.alice().commit_and_push(world.project, "fix/one", &files, "Fix").unwrap();
    world.alice().create_tag(world.project, "v1", &b, Some("First")).unwrap();
    let project = "projects/group%2Fdemo/repository";
    let raw = world.get(&format!("{project}/files/src%2Fnew.txt/raw?ref=fix%2Fone")).await;
    assert_eq!(raw, (200, json!("new\n")));
    assert_eq!(world.get(&format!("{project}/files/none/raw?ref=main")).await.0, 404);
    let branch = world.get(&format!("{project}/branches/fix%2Fone")).await.1;
    assert_eq!((&branch["commit"]["id"], &branch["default"]), (&json!(b), &json!(false)));
    let tag = world.get(&format!("{project}/tags/v1")).await.1;
    assert_eq!((&tag["commit"]["id"], &tag["message"]), (&json!(b), &json!("First")));
    assert_ne!(tag["target"], tag["commit"]["id"]);
}

//! Commits, branches, files and pipelines.

use aldis_gitlab::{GitLab, PipelineQuery};
use insta::assert_snapshot;

use super::{SHA, check};

#[tokio::test]
async fn compare() {
    let answer = r#"{"diffs":[{"old_path":"a","new_path":"a","deleted_file":true}],"compare_timeout":true,"compare_same_ref":false}"#;
    let seen =
        check(answer, async |gitlab: &GitLab| gitlab.project(5).compare("main", SHA).await).await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/repository/compare?from=main&to=SHA&straight=false
    Comparison {
        diffs: [
            FileChange {
                old_path: "a",
                new_path: "a",
                new_file: false,
                deleted_file: true,
                renamed_file: false,
            },
        ],
        compare_timeout: true,
        compare_same_ref: false,
    }
    "#);
}

#[tokio::test]
async fn commit() {
    let answer = r#"{"id":"6104942438c14ec7bd21c6cd5bd995272b3faff6","title":"T","message":"T\n\nB","parent_ids":["1f"]}"#;
    let seen = check(answer, async |gitlab: &GitLab| gitlab.project(5).commit(SHA).await).await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/repository/commits/SHA?stats=false
    Commit {
        id: "SHA",
        title: "T",
        message: "T\n\nB",
        parent_ids: [
            "1f",
        ],
    }
    "#);
}

#[tokio::test]
async fn commit_merge_requests() {
    let answer = "[]";
    let seen =
        check(answer, async |gitlab: &GitLab| gitlab.project(5).commit_merge_requests(SHA).await)
            .await;
    assert_snapshot!(seen, @"
    GET /gitlab/api/v4/projects/5/repository/commits/SHA/merge_requests?per_page=100&page=1
    []
    ");
}

#[tokio::test]
async fn commit_refs() {
    let answer = r#"[{"type":"branch","name":"a/b"}]"#;
    let seen =
        check(answer, async |gitlab: &GitLab| gitlab.project(5).commit_refs(SHA).await).await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/repository/commits/SHA/refs?per_page=100&page=1
    [
        CommitRef {
            kind: "branch",
            name: "a/b",
        },
    ]
    "#);
}

#[tokio::test]
async fn file_with_odd_letters_in_its_path() {
    let answer = "steps: []\n";
    let seen = check(answer, async |gitlab: &GitLab| {
        gitlab.project(5).file("dir/ä b%2F?#.yml", SHA, 11).await
    })
    .await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/repository/files/dir%2F%C3%A4%20b%252F%3F%23.yml/raw?ref=SHA
    Some(
        b"steps: []\n",
    )
    "#);
}

#[tokio::test]
async fn branch() {
    let answer = r#"{"name":"a/b","commit":{"id":"6104942438c14ec7bd21c6cd5bd995272b3faff6"},"protected":true}"#;
    let seen = check(answer, async |gitlab: &GitLab| gitlab.project(5).branch("a/b").await).await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/repository/branches/a%2Fb
    Some(
        Branch {
            name: "a/b",
            commit: Commit {
                id: "SHA",
                title: "",
                message: "",
                parent_ids: [],
            },
            protected: true,
        },
    )
    "#);
}

#[tokio::test]
async fn pipelines() {
    let answer = r#"[{"id":9,"sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","ref":"main","status":"success","source":"external"}]"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        let query = PipelineQuery { sha: Some(SHA), ref_: Some("main") };
        gitlab.project(5).pipelines(&query).await
    })
    .await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/pipelines?sha=SHA&ref=main&per_page=100&page=1
    [
        Pipeline {
            id: 9,
            sha: "SHA",
            ref_: "main",
            status: "success",
            source: Some(
                "external",
            ),
        },
    ]
    "#);
}

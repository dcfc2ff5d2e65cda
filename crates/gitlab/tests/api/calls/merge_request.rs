//! Merge requests and their notes.

use aldis_gitlab::{GitLab, MergeRequestQuery, MergeRequestState};
use insta::assert_snapshot;

use super::check;

#[tokio::test]
async fn merge_request() {
    let answer = r#"{"iid":7,"state":"opened","title":"T","sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","draft":true,"source_branch":"a/b","target_branch":"main","source_project_id":null,"target_project_id":5,"author":{"id":3},"labels":["x"],"diff_refs":{"base_sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","head_sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","start_sha":null},"prepared_at":"2026-01-02T03:04:05.678Z","changes_count":"12","head_pipeline":{"id":9,"sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","ref":"refs/merge-requests/7/head"},"web_url":"http://h/7","merge_commit_sha":null,"squash_commit_sha":"","unknown":{"a":[1]}}"#;
    let seen =
        check(answer, async |gitlab: &GitLab| gitlab.project(5).merge_request(7).get().await).await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/merge_requests/7
    MergeRequest {
        iid: 7,
        state: "opened",
        title: "T",
        sha: Some(
            "SHA",
        ),
        draft: true,
        source_branch: "a/b",
        target_branch: "main",
        source_project_id: None,
        target_project_id: 5,
        author: Some(
            Person {
                id: 3,
                username: "",
            },
        ),
        labels: [
            "x",
        ],
        diff_refs: Some(
            DiffRefs {
                base: Some(
                    "SHA",
                ),
                head: Some(
                    "SHA",
                ),
                start: None,
            },
        ),
        prepared_at: Some(
            2026-01-02T03:04:05.678Z,
        ),
        changes_count: Some(
            "12",
        ),
        head_pipeline: Some(
            HeadPipeline {
                id: 9,
                sha: "SHA",
                ref_: "refs/merge-requests/7/head",
            },
        ),
        web_url: "http://h/7",
        merge_commit_sha: None,
        squash_commit_sha: None,
    }
    "#);
}

#[tokio::test]
async fn merge_requests_filters_what_old_servers_ignore() {
    let answer = r#"[{"iid":7,"state":"opened","title":"T","sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","draft":true,"source_branch":"a/b","target_branch":"main","source_project_id":null,"target_project_id":5,"author":{"id":3},"labels":["x"],"diff_refs":{"base_sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","head_sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","start_sha":null},"prepared_at":"2026-01-02T03:04:05.678Z","changes_count":"12","head_pipeline":{"id":9,"sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","ref":"refs/merge-requests/7/head"},"web_url":"http://h/7","merge_commit_sha":null,"squash_commit_sha":"","unknown":{"a":[1]}},{"iid":8,"state":"opened","sha":null,"source_branch":"a/b","target_branch":"main","source_project_id":6,"target_project_id":5}]"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        let query = MergeRequestQuery {
            source_branch: Some("a/b"),
            state: Some(MergeRequestState::Opened),
            source_project: Some(6),
        };
        gitlab.project(5).merge_requests(&query).await
    })
    .await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/merge_requests?order_by=created_at&sort=asc&source_branch=a%2Fb&state=opened&source_project_id=6&per_page=100&page=1
    [
        MergeRequest {
            iid: 8,
            state: "opened",
            title: "",
            sha: None,
            draft: false,
            source_branch: "a/b",
            target_branch: "main",
            source_project_id: Some(
                6,
            ),
            target_project_id: 5,
            author: None,
            labels: [],
            diff_refs: None,
            prepared_at: None,
            changes_count: None,
            head_pipeline: None,
            web_url: "",
            merge_commit_sha: None,
            squash_commit_sha: None,
        },
    ]
    "#);
}

#[tokio::test]
async fn merge_request_diffs() {
    let answer = r#"[{"old_path":"a","new_path":"b","renamed_file":true,"new_file":null,"deleted_file":false,"diff":"@@"}]"#;
    let seen =
        check(answer, async |gitlab: &GitLab| gitlab.project(5).merge_request(7).diffs().await)
            .await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/merge_requests/7/diffs?per_page=100&page=1
    [
        FileChange {
            old_path: "a",
            new_path: "b",
            new_file: false,
            deleted_file: false,
            renamed_file: true,
        },
    ]
    "#);
}

#[tokio::test]
async fn merge_request_pipelines() {
    let answer = r#"[{"id":9,"sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","ref":"refs/merge-requests/7/head","status":"running","source":"merge_request_event"}]"#;
    let seen =
        check(answer, async |gitlab: &GitLab| gitlab.project(5).merge_request(7).pipelines().await)
            .await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/merge_requests/7/pipelines?per_page=100&page=1
    [
        Pipeline {
            id: 9,
            sha: "SHA",
            ref_: "refs/merge-requests/7/head",
            status: "running",
            source: Some(
                "merge_request_event",
            ),
        },
    ]
    "#);
}

#[tokio::test]
async fn notes() {
    let answer =
        r#"[{"id":1,"body":"hi","author":{"id":4,"username":"u"},"system":false,"internal":null}]"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        gitlab.project(5).merge_request(7).notes().list().await
    })
    .await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/merge_requests/7/notes?sort=asc&order_by=created_at&activity_filter=only_comments&per_page=100&page=1
    [
        Note {
            id: 1,
            body: "hi",
            author: Some(
                Person {
                    id: 4,
                    username: "u",
                },
            ),
            system: false,
            internal: false,
        },
    ]
    "#);
}

#[tokio::test]
async fn note_search() {
    let answer = r#"[{"id":1,"body":"hi"},{"id":2,"body":"<!-- x -->"}]"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        gitlab.project(5).merge_request(7).notes().find(|note| note.body.contains("<!--")).await
    })
    .await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/merge_requests/7/notes?sort=asc&order_by=created_at&activity_filter=only_comments&per_page=100&page=1
    Some(
        Note {
            id: 2,
            body: "<!-- x -->",
            author: None,
            system: false,
            internal: false,
        },
    )
    "#);
}

#[tokio::test]
async fn note_create() {
    let answer = r#"{"id":2,"body":"hi","author":{"id":4,"username":"u"}}"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        gitlab.project(5).merge_request(7).notes().create("hi\n\"you\"").await
    })
    .await;
    assert_snapshot!(seen, @r#"
    POST /gitlab/api/v4/projects/5/merge_requests/7/notes {"body":"hi\n\"you\""}
    Note {
        id: 2,
        body: "hi",
        author: Some(
            Person {
                id: 4,
                username: "u",
            },
        ),
        system: false,
        internal: false,
    }
    "#);
}

#[tokio::test]
async fn note_update() {
    let answer = r#"{"id":2,"body":"ho"}"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        gitlab.project(5).merge_request(7).notes().update(2, "ho").await
    })
    .await;
    assert_snapshot!(seen, @r#"
    PUT /gitlab/api/v4/projects/5/merge_requests/7/notes/2 {"body":"ho"}
    Note {
        id: 2,
        body: "ho",
        author: None,
        system: false,
        internal: false,
    }
    "#);
}

#[tokio::test]
async fn note_delete() {
    let answer = "";
    let seen = check(answer, async |gitlab: &GitLab| {
        gitlab.project(5).merge_request(7).notes().delete(2).await
    })
    .await;
    assert_snapshot!(seen, @"
    DELETE /gitlab/api/v4/projects/5/merge_requests/7/notes/2
    ()
    ");
}

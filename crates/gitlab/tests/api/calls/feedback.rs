//! Statuses, environments and deployments.

use aldis_gitlab::{
    DeploymentPost, DeploymentStatus, EnvironmentUpdate, GitLab, StatusPost, StatusQuery,
    StatusState, Tier,
};
use insta::assert_snapshot;

use super::{SHA, check};

#[tokio::test]
async fn status_create() {
    let answer = r#"{"id":1,"sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","ref":"a/b","status":"running","name":"aldis/ci","pipeline_id":9,"description":null,"target_url":"http://h/r/1","author":{"id":4}}"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        let post = StatusPost {
            state: StatusState::Running,
            name: "aldis/ci",
            ref_: Some("a/b"),
            target_url: Some("http://h/r/1"),
            description: None,
            pipeline_id: Some(9),
            coverage: Some(81.5),
        };
        gitlab.project(5).statuses(SHA).create(&post).await
    })
    .await;
    assert_snapshot!(seen, @r#"
    POST /gitlab/api/v4/projects/5/statuses/SHA {"coverage":81.5,"name":"aldis/ci","pipeline_id":9,"ref":"a/b","state":"running","target_url":"http://h/r/1"}
    CommitStatus {
        id: 1,
        sha: "SHA",
        ref_: Some(
            "a/b",
        ),
        status: "running",
        name: "aldis/ci",
        pipeline_id: Some(
            9,
        ),
        description: None,
        target_url: Some(
            "http://h/r/1",
        ),
        author: Some(
            Person {
                id: 4,
                username: "",
            },
        ),
    }
    "#);
}

#[tokio::test]
async fn status_list() {
    let answer = r#"[{"id":1,"status":"pending"}]"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        let query =
            StatusQuery { all: true, pipeline_id: Some(9), ref_: Some("a/b"), name: Some("n&m") };
        gitlab.project(5).statuses(SHA).list(&query).await
    })
    .await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/repository/commits/SHA/statuses?all=true&pipeline_id=9&ref=a%2Fb&name=n%26m&per_page=100&page=1
    [
        CommitStatus {
            id: 1,
            sha: "",
            ref_: None,
            status: "pending",
            name: "",
            pipeline_id: None,
            description: None,
            target_url: None,
            author: None,
        },
    ]
    "#);
}

#[tokio::test]
async fn environment_by_name() {
    let answer = r#"[{"id":1,"name":"review/Feature"},{"id":2,"name":"review/feature","state":"available","tier":"development","external_url":""}]"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        gitlab.project(5).environments().by_name("review/feature").await
    })
    .await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/environments?name=review%2Ffeature&per_page=100&page=1
    Some(
        Environment {
            id: 2,
            name: "review/feature",
            state: "available",
            tier: Some(
                "development",
            ),
            external_url: None,
        },
    )
    "#);
}

#[tokio::test]
async fn environment_create() {
    let answer = r#"{"id":2,"name":"p","state":"available"}"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        gitlab
            .project(5)
            .environments()
            .create("p", Some("https://p"), Some(Tier::Production))
            .await
    })
    .await;
    assert_snapshot!(seen, @r#"
    POST /gitlab/api/v4/projects/5/environments {"external_url":"https://p","name":"p","tier":"production"}
    Environment {
        id: 2,
        name: "p",
        state: "available",
        tier: None,
        external_url: None,
    }
    "#);
}

#[tokio::test]
async fn environment_update() {
    let answer = r#"{"id":2,"name":"p"}"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        let change = EnvironmentUpdate { external_url: Some("https://q"), tier: None };
        gitlab.project(5).environments().update(2, &change).await
    })
    .await;
    assert_snapshot!(seen, @r#"
    PUT /gitlab/api/v4/projects/5/environments/2 {"external_url":"https://q"}
    Environment {
        id: 2,
        name: "p",
        state: "",
        tier: None,
        external_url: None,
    }
    "#);
}

#[tokio::test]
async fn environment_stop() {
    let answer = r#"{"id":2,"name":"p","state":"stopped"}"#;
    let seen =
        check(answer, async |gitlab: &GitLab| gitlab.project(5).environments().stop(2).await).await;
    assert_snapshot!(seen, @"
    POST /gitlab/api/v4/projects/5/environments/2/stop
    ()
    ");
}

#[tokio::test]
async fn deployment_create() {
    let answer = r#"{"id":3,"status":"running","sha":"6104942438c14ec7bd21c6cd5bd995272b3faff6","ref":"main","created_at":"2026-01-02T03:04:05Z","user":{"id":4,"username":"u"},"environment":{"id":2,"name":"p"}}"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        let post = DeploymentPost {
            environment: "p",
            sha: SHA,
            ref_: "main",
            tag: false,
            status: DeploymentStatus::Running,
        };
        gitlab.project(5).deployments().create(&post).await
    })
    .await;
    assert_snapshot!(seen, @r#"
    POST /gitlab/api/v4/projects/5/deployments {"environment":"p","ref":"main","sha":"SHA","status":"running","tag":false}
    Deployment {
        id: 3,
        status: "running",
        sha: "SHA",
        ref_: "main",
        created_at: Some(
            2026-01-02T03:04:05Z,
        ),
        user: Some(
            Person {
                id: 4,
                username: "u",
            },
        ),
        environment: Some(
            Environment {
                id: 2,
                name: "p",
                state: "",
                tier: None,
                external_url: None,
            },
        ),
    }
    "#);
}

#[tokio::test]
async fn deployment_update() {
    let answer = r#"{"id":3,"status":"success","created_at":"odd"}"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        gitlab.project(5).deployments().update(3, DeploymentStatus::Success).await
    })
    .await;
    assert_snapshot!(seen, @r#"
    PUT /gitlab/api/v4/projects/5/deployments/3 {"status":"success"}
    Deployment {
        id: 3,
        status: "success",
        sha: "",
        ref_: "",
        created_at: None,
        user: None,
        environment: None,
    }
    "#);
}

#[tokio::test]
async fn deployment_list() {
    let answer = r#"[{"id":3,"status":"success"}]"#;
    let seen = check(answer, async |gitlab: &GitLab| {
        gitlab.project(5).deployments().list(Some("a b"), 1).await
    })
    .await;
    assert_snapshot!(seen, @r#"
    GET /gitlab/api/v4/projects/5/deployments?order_by=id&sort=desc&environment=a+b&per_page=100&page=1
    [
        Deployment {
            id: 3,
            status: "success",
            sha: "",
            ref_: "",
            created_at: None,
            user: None,
            environment: None,
        },
    ]
    "#);
}

//! Environments and deployments.

use aldis_gitlab_sim::Route;
use serde_json::{Value, json};

use crate::world::World;

impl World {
    async fn deploy(&self, status: &str) -> (u16, Value) {
        let body = json!({
            "environment": "production", "sha": self.a, "ref": "main", "tag": false,
            "status": status,
        });
        self.api(&format!("POST projects/{}/deployments", self.project), body).await
    }
}

#[tokio::test]
async fn a_deployment_runs_and_ends_once() {
    let world = World::start().await;
    let (status, body) = world.deploy("running").await;
    assert_eq!((status, &body["status"]), (201, &json!("running")));
    let put = format!("PUT projects/{}/deployments/{}", world.project, body["id"]);
    let again = world.api(&put, json!({ "status": "running" })).await;
    assert_eq!(again, (400, json!({ "message": { "status": ["cannot transition via \"run\""] } })));
    for status in ["failed", "success"] {
        assert_eq!(world.api(&put, json!({ "status": status })).await.0, 200);
    }
    assert_eq!(world.api(&put, json!({ "status": "success" })).await.0, 400);
    insta::assert_snapshot!(world.sim.environment_page(world.project).unwrap(), @"
    production (production)
      success A main
    ");
}

#[tokio::test]
async fn only_success_is_given_back_instead_of_doubled() {
    let world = World::start().await;
    let first = world.deploy("success").await.1["id"].clone();
    assert_eq!(world.deploy("success").await.1["id"], first);
    assert_ne!(world.deploy("running").await.1["id"], world.deploy("running").await.1["id"]);
    assert_eq!(world.sim.count(Route::DeploymentCreate), 4);
}

#[tokio::test]
async fn a_bad_sha_leaves_an_empty_environment_behind() {
    let world = World::start().await;
    let post = format!("POST projects/{}/deployments", world.project);
    let body = |git_ref: &str, sha: &str| {
        json!({
            "environment": "review/one", "sha": sha, "ref": git_ref, "tag": false,
            "status": "running",
        })
    };
    let missing = "0123456789012345678901234567890123456789";
    let no_ref = world.api(&post, body("gone", missing)).await;
    assert_eq!(no_ref.1["message"]["ref"][0], "The branch or tag does not exist");
    assert_eq!(world.sim.environment_page(world.project).unwrap().environments.len(), 0);
    let no_sha = world.api(&post, body("main", missing)).await;
    assert_eq!(no_sha.1["message"]["sha"][0], "The commit does not exist");
    insta::assert_snapshot!(world.sim.environment_page(world.project).unwrap(), @"review/one (development)");
}

#[tokio::test]
async fn environments_keep_their_name_and_stop_before_they_go() {
    let world = World::start().await;
    let path = format!("projects/{}/environments", world.project);
    let new = json!({ "name": "Staging", "external_url": "https://stage.test", "tier": "staging" });
    let (status, body) = world.api(&format!("POST {path}"), new.clone()).await;
    assert_eq!(status, 201);
    assert_ne!(body["slug"], "Staging");
    let twice = world.api(&format!("POST {path}"), new).await;
    assert_eq!(twice, (400, json!({ "message": { "name": ["has already been taken"] } })));
    let slug = json!({ "name": "x", "slug": "x" });
    assert_eq!(world.api(&format!("POST {path}"), slug).await.0, 400);
    assert_eq!(world.get(&format!("{path}?name=Staging")).await.1[0]["id"], body["id"]);

    let one = format!("{path}/{}", body["id"]);
    let renamed = json!({ "name": "Other", "external_url": "https://new.test" });
    let (_, body) = world.api(&format!("PUT {one}"), renamed).await;
    assert_eq!(
        (&body["name"], &body["external_url"]),
        (&json!("Staging"), &json!("https://new.test"))
    );
    assert_eq!(world.api(&format!("DELETE {one}"), json!(null)).await.0, 403);
    for _ in 0..2 {
        let stopped = world.api(&format!("POST {one}/stop"), json!({})).await;
        assert_eq!((stopped.0, &stopped.1["state"]), (200, &json!("stopped")));
    }
    assert_eq!(world.api(&format!("DELETE {one}"), json!(null)).await.0, 204);
}

//! Pages for people.

use serde_json::json;

use crate::world::World;

impl World {
    async fn page(&self, url: &str) -> (u16, String) {
        let response = self.http.get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

#[tokio::test]
async fn pages_show_what_happened_and_escape_it() {
    let world = World::start().await;
    let (mr, b) = world.feature();
    world.alice().set_title(mr, "<b>bold</b> title").unwrap();
    world.alice().comment(mr, "see **this**\n```\n<x>\n```").unwrap();
    let status = json!({
        "state": "failed", "name": "aldis/unit", "ref": "feature", "description": "1 < 2",
        "target_url": "https://ci.test/runs/1",
    });
    world.status(&b, status).await;
    let (code, html) = world.page(&world.sim.merge_request_url(mr)).await;
    assert_eq!(code, 200);
    for part in [
        "&lt;b&gt;bold&lt;/b&gt; title",
        "<a href=\"https://ci.test/runs/1\">aldis/unit</a>",
        "1 &lt; 2",
        "<strong>this</strong>",
        "<pre><code>&lt;x&gt;</code></pre>",
        "name=\"viewport\"",
    ] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
    assert!(!html.contains("<script"));
}

#[tokio::test]
async fn every_page_opens_and_unknown_ones_say_so() {
    let world = World::start().await;
    world.status(&world.a, json!({ "state": "success" })).await;
    let deployment = json!({
        "environment": "production", "sha": world.a, "ref": "main", "tag": false,
        "status": "success",
    });
    world.api(&format!("POST projects/{}/deployments", world.project), deployment).await;
    let project = world.sim.project_url(world.project);
    let pipeline = world.sim.pipeline_views(world.project, &world.a)[0].id;
    let pages = [
        (format!("{}/", world.sim.url()), "group/demo"),
        (project.clone(), "Merge requests"),
        (format!("{project}/-/pipelines/{pipeline}"), "default"),
        (format!("{project}/-/environments"), "production"),
    ];
    for (url, part) in pages {
        let (code, html) = world.page(&url).await;
        assert!(code == 200 && html.contains(part), "{url}: {code} {html}");
    }
    assert_eq!(world.page(&format!("{project}/-/merge_requests/9")).await.0, 404);
}

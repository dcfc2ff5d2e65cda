use actix_web::test::TestRequest;

use crate::site::{Site, TOKEN, story};

async fn far() -> Site {
    let mut site = Site::new().await;
    site.settings.listen_is_loopback = false;
    site.settings.base_url = Some("https://ci.example".parse().unwrap());
    site
}

fn ask(path: &str) -> TestRequest {
    TestRequest::get().uri(path).insert_header(("host", "ci.example"))
}

#[tokio::test]
async fn every_page_with_data_asks_for_the_token() {
    let site = far().await;
    let run = story(&site).await;
    for path in [
        "/".to_owned(),
        format!("/runs/{run}"),
        format!("/runs/{run}/log"),
        format!("/runs/{run}/log.txt"),
        "/deliveries/shared-d1".to_owned(),
        "/changes/mr-1.42-7".to_owned(),
    ] {
        let page = site.send(ask(&path)).await;
        assert_eq!(page.status, 401, "{path}");
        assert!(page.body.contains(&format!("name=\"next\" value=\"{path}\"")), "{path}");
        assert!(!page.body.contains("group/app") && !page.body.contains("api"), "{path}");
        let bearer = ask(&path).insert_header(("authorization", format!("Bearer {TOKEN}")));
        assert_eq!(site.send(bearer).await.status, 200, "{path}");
        let wrong = ask(&path).insert_header(("authorization", "Bearer a-bootstrap-toke"));
        assert_eq!(site.send(wrong).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn the_token_is_traded_for_a_cookie() {
    let site = far().await;
    let post = |token: &str| {
        TestRequest::post()
            .uri("/session")
            .insert_header(("host", "ci.example"))
            .insert_header(("origin", "https://ci.example"))
            .set_form([("token", token), ("next", "/changes/mr-1.42-7")])
    };
    let wrong = site.send(post("something else")).await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.body.contains("That is not the token"));
    assert_eq!(wrong.header("referrer-policy"), "same-origin");
    assert_eq!(wrong.header("set-cookie"), "");

    let right = site.send(post(TOKEN)).await;
    assert_eq!(right.status, 303);
    assert_eq!(right.header("location"), "/changes/mr-1.42-7");
    let cookie = right.header("set-cookie").to_owned();
    for part in ["aldis_session=", "HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN));
    let (value, _) = cookie.split_once(';').unwrap();
    assert_eq!(site.send(ask("/").insert_header(("cookie", value))).await.status, 200);
    assert_eq!(site.send(ask("/").insert_header(("cookie", "aldis_session=00"))).await.status, 401);

    let foreign = post(TOKEN).insert_header(("origin", "https://evil.example"));
    assert_eq!(site.send(foreign).await.status, 403);
}

#[tokio::test]
async fn a_foreign_name_is_refused_also_at_home() {
    let site = Site::new().await;
    story(&site).await;
    let rebound = TestRequest::get().uri("/").insert_header(("host", "evil.example:8080"));
    let page = site.send(rebound).await;
    assert_eq!(page.status, 421);
    assert!(page.body.contains("ALDIS_BASE_URL") && !page.body.contains("group/app"));
    let proxied = TestRequest::get()
        .uri("/")
        .insert_header(("host", "localhost"))
        .insert_header(("x-forwarded-for", "1.2.3.4"));
    assert_eq!(site.send(proxied).await.status, 401);
}

#[tokio::test]
async fn probes_are_open_and_say_nothing_of_projects() {
    let site = far().await;
    story(&site).await;
    let probe = |path: &str| TestRequest::get().uri(path).insert_header(("host", "10.0.0.9"));
    assert_eq!(site.send(probe("/healthz")).await.body, "ok\n");
    let ready = site.send(probe("/readyz")).await;
    assert_eq!((ready.status.as_u16(), ready.body.as_str()), (200, "{\"ready\":true}"));
    site.store.close().await;
    let ready = site.send(probe("/readyz")).await;
    assert_eq!(ready.status, 503);
    insta::assert_snapshot!(ready.body, @r#"{"ready":false,"reason":"the database cannot be used now; the log says why"}"#);
    assert_eq!(site.send(probe("/healthz")).await.status, 200);
}

#[tokio::test]
async fn no_answer_leaves_without_its_protection() {
    let site = Site::new().await;
    let page = site.get("/").await;
    let style = page.body.split_once("stylesheet\" href=\"").unwrap().1.split_once('"').unwrap().0;
    for path in ["/", style, "/runs/none", "/readyz"] {
        let page = site.get(path).await;
        assert!(
            page.header("content-security-policy").starts_with("default-src 'self';"),
            "{path}"
        );
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{path}");
    }
    let style = site.get(style).await;
    assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
    for inline in ["<style", " style=", "onclick", "<script>"] {
        assert!(!page.body.contains(inline), "{inline}");
    }
}

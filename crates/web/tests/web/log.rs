use std::time::Duration;

use actix_web::test::TestRequest;
use serde_json::json;

use crate::site::{Site, finished, requested, run_id, started, story};

#[tokio::test]
async fn the_live_log_ends_with_the_run() {
    let site = Site::new().await;
    let run = story(&site).await;
    let stream = site.get(&format!("/runs/{run}/log")).await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    assert_eq!(stream.header("content-encoding"), "identity");
    insta::assert_snapshot!(stream.body, @r#"
    retry: 2000

    event: rows
    id: 5.3
    data: {"rows":[{"number":1,"step":0,"spans":[{"t":"compiling "},{"c":"ink2","t":"api"}]},{"number":2,"step":0,"spans":[{"t":"warning: <unused>"}]},{"number":3,"step":1,"spans":[{"t":"test it_adds … "},{"c":"bold ink1","t":"FAILED"}]}],"open":null}

    event: done
    data: {"class":"bad","icon":"✗","word":"failed"}
    "#);
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed() {
    let site = Site::new().await;
    let run = story(&site).await;
    let path = format!("/runs/{run}/log");
    let ask = |path: &str, last: &str| {
        TestRequest::get()
            .uri(path)
            .insert_header(("host", "localhost"))
            .insert_header(("last-event-id", last.to_owned()))
    };
    // In the middle of a line: it comes whole.
    let rest = site.send(ask(&path, "5.1")).await.body;
    insta::assert_snapshot!(rest, @r#"
    retry: 2000

    event: rows
    id: 5.3
    data: {"rows":[{"number":2,"step":0,"spans":[{"t":"warning: <unused>"}]},{"number":3,"step":1,"spans":[{"t":"test it_adds … "},{"c":"bold ink1","t":"FAILED"}]}],"open":null}

    event: done
    data: {"class":"bad","icon":"✗","word":"failed"}
    "#);
    let end = site.send(ask(&path, "5.3")).await.body;
    assert!(!end.contains("event: rows") && end.contains("event: done"), "{end}");
    // What the browser remembers is newer than the page's address.
    let both = site.send(ask(&format!("{path}?after=5.1"), "5.3")).await.body;
    assert_eq!(both, end);
    let nonsense = site.send(ask(&path, "x")).await.body;
    assert!(nonsense.contains("compiling"));
    // Another attempt: the old one's lines go.
    let other = site.send(ask(&path, "4.9")).await.body;
    assert!(
        other.starts_with(
            "retry: 2000\n\nevent: attempt\ndata: {\"attempt\":1}\n\nevent: rows\nid: 5.3\n"
        ),
        "{other}"
    );
}

#[tokio::test]
async fn lines_arrive_while_the_run_goes_on() {
    let site = Site::new().await;
    let run = run_id(4);
    let stream = format!("run-{run}");
    site.append(&stream, vec![requested(&run, json!({}))]).await;
    let path = format!("/runs/{run}/log");
    let watch = site.get(&path);
    let work = async {
        site.append(&stream, vec![started(1, 5, "a/1")]).await;
        site.log(&run, 5, &[(1, 0, "one\n")]).await;
        site.log(&run, 5, &[(2, 0, "two\n")]).await;
        site.append(&stream, vec![finished(&run, 5, "passed", json!({"steps": []}))]).await;
    };
    let both = async { tokio::join!(watch, work).0 };
    let seen = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    let (one, two) = (seen.body.find("\"one\""), seen.body.find("\"two\""));
    assert!(one.is_some() && one < two, "{}", seen.body);
    assert!(
        seen.body.ends_with(
            "event: done\ndata: {\"class\":\"good\",\"icon\":\"✓\",\"word\":\"passed\"}\n\n"
        ),
        "{}",
        seen.body
    );
}

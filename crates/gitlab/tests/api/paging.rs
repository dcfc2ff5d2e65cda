//! Lists are read to their end, and only as far as wanted.

use aldis_gitlab::Error;

use crate::server::{Reply, Server};

fn page(id: u64, headers: &'static str) -> Reply {
    Reply::Say(200, headers, format!(r#"[{{"id":{id},"body":"n{id}","status":"x"}}]"#))
}

#[tokio::test]
async fn short_pages_are_followed_to_the_end() {
    let server = Server::start([
        page(1, "x-next-page: 2\r\n"),
        Reply::Say(200, "x-next-page: 3\r\n", "[]".to_owned()),
        page(3, "x-next-page: \r\nLink: <http://evil/?page=9>; rel=\"next\"\r\n"),
    ])
    .await;
    let notes = server.client().project(5).merge_request(7).notes().list().await.unwrap();
    assert_eq!(notes.iter().map(|note| note.id).collect::<Vec<_>>(), [1, 3]);
    insta::assert_snapshot!(server.asked(), @"
    GET /gitlab/api/v4/projects/5/merge_requests/7/notes?sort=asc&order_by=created_at&activity_filter=only_comments&per_page=100&page=1
    GET /gitlab/api/v4/projects/5/merge_requests/7/notes?sort=asc&order_by=created_at&activity_filter=only_comments&per_page=100&page=2
    GET /gitlab/api/v4/projects/5/merge_requests/7/notes?sort=asc&order_by=created_at&activity_filter=only_comments&per_page=100&page=3
    ");
}

#[tokio::test]
async fn of_a_link_only_the_page_number_is_used() {
    let link = "Link: <http://evil.example/x?page=1>; rel=\"first\", \
                <http://evil.example/x?page=2&private_token=y>; rel=\"next\"\r\n";
    let server = Server::start([page(1, link), page(2, "")]).await;
    let found = server.client().project(5).hooks().list().await.unwrap();
    assert_eq!(found.len(), 2);
    insta::assert_snapshot!(server.asked(), @"
    GET /gitlab/api/v4/projects/5/hooks?per_page=100&page=1
    GET /gitlab/api/v4/projects/5/hooks?per_page=100&page=2
    ");
}

#[tokio::test]
async fn a_search_stops_where_it_finds() {
    let server =
        Server::start([page(1, "x-next-page: 2\r\n"), page(2, "x-next-page: 3\r\n")]).await;
    let gitlab = server.client();
    let notes = gitlab.project(5).merge_request(7).notes();
    assert_eq!(notes.find(|note| note.id == 2).await.unwrap().unwrap().body, "n2");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn the_start_of_a_list_is_cut_without_complaint() {
    let server =
        Server::start([page(1, "x-next-page: 2\r\n"), page(2, "x-next-page: 3\r\n")]).await;
    let found = server.client().project(5).deployments().list(None, 2).await.unwrap();
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn a_list_without_end_is_an_error() {
    let server = Server::start((0..100).map(|_| page(1, "x-next-page: 2\r\n"))).await;
    let gitlab = server.builder().requests_per_minute(60_000).build().unwrap();
    let error = gitlab.project(5).hooks().list().await.unwrap_err();
    assert!(matches!(error, Error::TooLong(_)), "{error}");
    assert_eq!(server.requests().len(), 100);
}

#[tokio::test]
async fn a_file_above_the_cap_is_not_swallowed() {
    let server = Server::start([Reply::Say(200, "", "x".repeat(1_001))]).await;
    let error = server.client().project(5).file("a", "main", 1_000).await.unwrap_err();
    assert!(matches!(error, Error::TooLong(_)), "{error}");
}

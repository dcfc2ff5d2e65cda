#![allow(warnings, clippy::all)]
#[path = "../tests/web/site.rs"]
mod site;
use actix_web::{App, HttpServer};
use serde_json::json;
use site::*;
use std::time::Duration;
fn main() {
    actix_web::rt::System::new().block_on(async {
        let site = Site::new().await;
        let empty = Site::new().await;
        story(&site).await;
        for n in 2..9u8 {
            let run = run_id(n);
            site.append(&format!("run-{run}"), vec![requested(&run, json!({"stack": ["web","infra/network-and-dns","docs","api"][n as usize % 4], "needs": if n == 8 { json!({"api": run_id(1)}) } else { json!({}) },
              "audience": {"change": if n % 2 == 0 {"ref-1.42-refs/heads/feature/long-branch-name-for-a-phone"} else {"mr-1.42-8"}, "posting_project": "1.42"}}))]).await;
            if n < 7 { site.append(&format!("run-{run}"), vec![started(1, 5, "builder-7/slot-2")]).await; }
            if n < 6 {
                let o = ["passed", "timed_out", "passed", "unknown", "passed", "broken"][n as usize];
                let report = json!({"steps": [{"name":"test","result": if o == "passed" {"passed"} else {"timed_out"},"exit":0,"millis":72000}], "trouble": if o=="broken" {json!("the clone failed: the repository is gone")} else {json!(null)}});
                site.append(&format!("run-{run}"), vec![finished(&run, 5, o, report)]).await;
            }
            site.append(&format!("delivery-shared-x{n}"), vec![received(json!({"key": format!("x{n}"), "trigger": {"kind":"push","project":"1.42","name":"refs/heads/feature/long-branch-name-for-a-phone","before":sha('b'),"after":sha('a'),"actor":3}}))]).await;
        }
        let live = run_id(6);
        let mut text = String::new();
        for i in 0..60 { text.push_str(&format!("test module::case_{i:03} ... \x1b[32mok\x1b[0m\n")); }
        text.push_str("\x1b[33;1mwarning\x1b[0m: unused variable: `a very long line that goes on and on so that one sees how it wraps on a small screen of a phone`\n\x1b[41;97m FAIL \x1b[0m tests\n");
        site.log(&live, 5, &[(1, 0, "$ cargo build\n   \x1b[1;32mCompiling\x1b[0m api v0.1.0\n"), (2, 1, &text)]).await;
        site.project().await;
        let mut far = site.settings.clone();
        far.listen_is_loopback = false;
        let (a, b, c) = (aldis_web::State::new(site.store.clone(), &site.settings), aldis_web::State::new(empty.store.clone(), &empty.settings), aldis_web::State::new(site.store.clone(), &far));
        let serve = |s: aldis_web::State| {
            let srv = HttpServer::new(move || App::new().configure(|c| aldis_web::configure(c, s.clone()))).workers(1).bind("127.0.0.1:0").unwrap();
            let port = srv.addrs()[0].port();
            actix_web::rt::spawn(srv.run());
            port
        };
        println!("{} {} {} {} {}", serve(a), serve(b), serve(c), run_id(1), live);
        let mut seq = 2;
        loop {
            actix_web::rt::time::sleep(Duration::from_secs(2)).await;
            seq += 1;
            site.log(&live, 5, &[(seq, 1, &format!("live line {seq}\n"))]).await;
            if seq == 60 { site.append(&format!("run-{live}"), vec![finished(&live, 5, "passed", json!({"steps": []}))]).await; }
        }
    });
}

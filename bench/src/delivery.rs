//! Webhook deliveries: of real pushes as the simulator would send them, and 10 kB bodies for load.

use std::net::SocketAddr;

use serde_json::json;

/// Where the bot and the floor take deliveries.
pub(crate) const PATH: &str = "/api/webhooks/gitlab";
pub(crate) const SECRET: &str = "bench-secret";
/// Size of a body that load is made of.
const BODY: usize = 10 * 1024;

const SHA: &str = "ssssssssssssssssssssssssssssssssssssssss";
const KEY: &str = "kkkkkkkk-kkkk-4kkk-8kkk-kkkkkkkkkkkk";
const BRANCH: &str = "branch-bbbbbbbbbbbbbbbb";

/// A whole request for one delivery. `sha` helps the floor, which does not parse bodies.
pub(crate) fn request(to: SocketAddr, key: &str, sha: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: GitLab/19.5.0-ee\r\n\
         Content-Type: application/json\r\nX-Gitlab-Event: Push Hook\r\n\
         X-Gitlab-Token: {SECRET}\r\nIdempotency-Key: {key}\r\nX-Sha: {sha}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A request that is turned into the next one in place, so that making load costs little.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    shas: Vec<usize>,
    keys: Vec<usize>,
    branches: Vec<usize>,
}

impl Template {
    /// Pushes to branches of `project`.
    pub(crate) fn new(to: SocketAddr, project: u64) -> Self {
        let bytes = request(to, KEY, "none", &body(project));
        let spots = |mark: &str| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.match_indices(mark).map(|(at, _)| at).collect()
        };
        let (shas, keys, branches) = (spots(SHA), spots(KEY), spots(BRANCH));
        Self { bytes, shas, keys, branches }
    }

    /// Delivery `number`; the same number is the same delivery.
    pub(crate) fn number(&mut self, number: u64) -> &[u8] {
        let (a, b) = (mixed(number), mixed(number ^ 0x5555_5555_5555_5555));
        let sha = format!("{a:016x}{b:016x}{:08x}", number & 0xffff_ffff);
        let hex = format!("{b:016x}{a:016x}");
        let key = format!(
            "{}-{}-4{}-8{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..]
        );
        let branch = format!("branch-{number:016}");
        for (spots, text) in [(&self.shas, &sha), (&self.keys, &key), (&self.branches, &branch)] {
            for at in spots {
                self.bytes[*at..*at + text.len()].copy_from_slice(text.as_bytes());
            }
        }
        &self.bytes
    }
}

/// Spreads numbers over all of 64 bits (the finalizer of splitmix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A push of as many commits as make 10 kB.
fn body(project: u64) -> Vec<u8> {
    let commit = |number: u64| {
        json!({
            "id": format!("{:016x}{:016x}{:08x}", mixed(number), mixed(number + 999), number),
            "message": format!("Change number {number} of the service's answers\n\nWith its reason.\n"),
            "title": format!("Change number {number} of the service's answers"),
            "timestamp": "2026-11-02T10:17:23+01:00",
            "url": format!("https://gitlab.example.org/bench/load/-/commit/{:016x}", mixed(number)),
            "author": {"name": "A Developer", "email": "developer@example.org"},
            "added": [format!("api/src/part_{:x}.rs", mixed(number) >> 40)],
            "modified": ["api/answer.sh", format!("docs/{:x}.md", mixed(number) >> 32)],
            "removed": [],
        })
    };
    let mut body = json!({
        "object_kind": "push", "event_name": "push", "before": format!("{:040x}", 1),
        "after": SHA, "checkout_sha": SHA, "ref": format!("refs/heads/{BRANCH}"),
        "ref_protected": false, "message": null, "user_id": 1, "user_name": "A Developer",
        "user_username": "developer", "user_email": "", "user_avatar": null,
        "project_id": project,
        "project": {
            "id": project, "name": "load", "description": "", "web_url": "https://gitlab.example.org/bench/load",
            "git_ssh_url": "git@gitlab.example.org:bench/load.git", "namespace": "bench",
            "git_http_url": "https://gitlab.example.org/bench/load.git", "visibility_level": 0,
            "path_with_namespace": "bench/load", "default_branch": "main", "ci_config_path": null,
        },
        "commits": [], "total_commits_count": 20, "push_options": {},
        "repository": {"name": "load", "url": "git@gitlab.example.org:bench/load.git", "description": ""},
    });
    let mut number = 0;
    loop {
        let text = body.to_string();
        if text.len() >= BODY {
            return text.into_bytes();
        }
        number += 1;
        if let Some(commits) = body["commits"].as_array_mut() {
            commits.push(commit(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_always_the_same_delivery_and_another_is_another() {
        let mut template = Template::new(SocketAddr::from(([127, 0, 0, 1], 1)), 7);
        let first = template.number(1).to_vec();
        let second = template.number(2).to_vec();
        assert_eq!(template.number(1), first);
        assert_ne!(first, second);
        assert_eq!(first.len(), second.len());
        let text = String::from_utf8(first).unwrap();
        assert!(!text.contains(SHA) && !text.contains(KEY) && !text.contains(BRANCH));
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        assert!((BODY..BODY + 1024).contains(&body.len()), "{}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).unwrap()["after"].is_string());
    }
}

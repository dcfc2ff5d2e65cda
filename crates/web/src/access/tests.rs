use super::*;

/// Shorthand for a request: `GET localhost:8080`, then what it carries.
fn verdict(rules: &str, request: &str) -> Decision {
    let rules = Rules {
        listen_is_loopback: rules.contains("loopback"),
        base_url: rules
            .split_whitespace()
            .find(|w| w.starts_with("http"))
            .map(|w| w.parse().unwrap()),
    };
    let mut words = request.split_whitespace();
    let reads = words.next() == Some("GET");
    let host = words.next().filter(|h| *h != "-");
    let word = |name: &str| request.split_whitespace().find_map(|w| w.strip_prefix(name));
    decide(
        &rules,
        &Asked {
            path: word("path=").unwrap_or("/"),
            reads,
            host,
            forwarded: request.contains("forwarded"),
            origin: word("origin="),
            fetch_site: word("site="),
            bearer: request.contains("bearer"),
            session: request.contains("session"),
        },
    )
}

#[test]
fn pages_are_open_only_at_home() {
    use Decision::{Allow, SignIn, WrongHost};
    for (rules, request, expected) in [
        ("loopback", "GET localhost:8080", Allow),
        ("loopback", "GET LOCALHOST", Allow),
        ("loopback", "GET 127.0.0.1:8080", Allow),
        ("loopback", "GET 127.9.9.9", Allow),
        ("loopback", "GET [::1]:8080", Allow),
        ("loopback", "GET [::ffff:127.0.0.1]:1", Allow),
        ("loopback http://localhost:8080", "GET localhost:8080", Allow),
        ("loopback http://127.0.0.1", "GET localhost:8080", Allow),
        // Behind a proxy on the same machine.
        ("loopback", "GET localhost:8080 forwarded", SignIn),
        ("loopback", "GET localhost:8080 forwarded session", Allow),
        ("loopback https://ci.example", "GET localhost:8080", SignIn),
        ("loopback https://ci.example", "GET ci.example forwarded", SignIn),
        ("loopback https://ci.example", "GET ci.example forwarded bearer", Allow),
        // Reachable from elsewhere.
        ("", "GET localhost:8080", SignIn),
        ("http://localhost", "GET localhost", SignIn),
        ("https://ci.example", "GET ci.example:8443", SignIn),
        ("https://ci.example", "GET CI.example session", Allow),
        ("http://10.0.0.7:8080", "GET 10.0.0.7:8080", SignIn),
        // Called by a name that is not ours, whatever else it brings.
        ("loopback", "GET evil.example", WrongHost),
        ("loopback", "GET localhost.evil.example", WrongHost),
        ("loopback", "GET evil.example:8080 session", WrongHost),
        ("loopback", "GET evil.example bearer", WrongHost),
        ("https://ci.example", "GET ci.example.evil.example session", WrongHost),
        ("", "GET 192.168.1.5:8080 session", WrongHost),
        ("loopback", "GET -", WrongHost),
        ("loopback", "GET localhost@evil.example", WrongHost),
        ("loopback", "GET evil.example/localhost", WrongHost),
        ("loopback", "GET localhost:port", WrongHost),
        ("loopback", "GET 127.0.0.1.evil.example", WrongHost),
    ] {
        assert_eq!(verdict(rules, request), expected, "[{rules}] {request}");
    }
}

#[test]
fn probes_and_assets_are_open_to_all() {
    for path in ["/healthz", "/readyz", "/assets/style-1.css"] {
        assert_eq!(verdict("", &format!("GET 10.0.0.9 path={path}")), Decision::Allow);
    }
    for path in ["/healthz/x", "/assets", "/api/v1/runs", "/healthz?x"] {
        assert_eq!(verdict("", &format!("GET localhost path={path}")), Decision::SignIn, "{path}");
    }
}

#[test]
fn writing_takes_our_own_page_or_a_header_no_browser_adds() {
    use Decision::{Allow, CrossSite, SignIn};
    for (rules, request, expected) in [
        ("loopback", "POST localhost:8080", CrossSite),
        ("loopback", "POST localhost:8080 session", CrossSite),
        ("loopback", "POST localhost:8080 site=same-origin", Allow),
        ("loopback", "POST localhost:8080 site=same-site", CrossSite),
        ("loopback", "POST localhost:8080 site=cross-site origin=http://localhost:8080", CrossSite),
        ("loopback", "POST localhost:8080 site=none", CrossSite),
        ("loopback", "POST localhost:8080 origin=http://localhost:8080", Allow),
        ("loopback", "POST localhost:8080 origin=http://localhost:9090", CrossSite),
        ("loopback", "POST localhost:8080 origin=null", CrossSite),
        ("https://ci.example", "POST ci.example origin=https://ci.example path=/session", Allow),
        (
            "https://ci.example",
            "POST localhost:8080 origin=https://ci.example path=/session",
            Allow,
        ),
        (
            "https://ci.example",
            "POST ci.example origin=https://evil.example path=/session",
            CrossSite,
        ),
        ("https://ci.example", "POST ci.example path=/session", CrossSite),
        ("https://ci.example", "POST ci.example origin=https://ci.example", SignIn),
        ("https://ci.example", "POST ci.example bearer", Allow),
    ] {
        assert_eq!(verdict(rules, request), expected, "[{rules}] {request}");
    }
}

//! The project's webhook for this bot. A hook's URL is never shown: it may hold a secret.

use aldis_gitlab::hook::Secrets;
use aldis_gitlab::{Error, Project, Webhook};
use url::Url;

use super::gitlab::is_loopback;
use super::report::Report;
use crate::settings::Settings;

/// What a hook must be like.
pub(super) struct Wanted<'a> {
    pub(super) target: Target,
    /// `None`: the settings cannot be read.
    pub(super) secrets: Option<&'a Secrets>,
}

/// Where hooks must point.
pub(super) enum Target {
    /// One of these; the first is the one to recommend.
    Urls(Vec<Url>),
    /// To the path of Aldis on any host: nobody has told ours.
    AnyHost,
}

impl Target {
    /// From `--hook-url`, else from ALDIS_BASE_URL.
    pub(super) fn new(report: &mut Report, given: Option<&Url>, local: Option<&Settings>) -> Self {
        if let Some(url) = given {
            return Self::Urls(vec![bare(url.clone())]);
        }
        let Some(base) = local.and_then(|settings| settings.base_url.as_ref()) else {
            report.warn(
                "base URL",
                "ALDIS_BASE_URL is not set: links in GitLab will lead to the listener's address, \
                 and hooks are known by their path only",
                "set it to the URL under which people and GitLab reach Aldis",
            );
            return Self::AnyHost;
        };
        let base = base.as_str().trim_end_matches('/');
        let urls = aldis_ingress::PATHS.iter().map(|path| Url::parse(&format!("{base}{path}")));
        Self::Urls(urls.filter_map(Result::ok).map(bare).collect())
    }

    fn is_hit_by(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        let path = url.path().trim_end_matches('/');
        match self {
            Self::Urls(urls) => urls.iter().any(|wanted| {
                wanted.origin() == url.origin() && wanted.path().trim_end_matches('/') == path
            }),
            Self::AnyHost => aldis_ingress::PATHS.iter().any(|known| path.ends_with(known)),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Urls(urls) => urls.first().map(ToString::to_string).unwrap_or_default(),
            Self::AnyHost => format!("a URL that ends with {}", aldis_ingress::PATHS[0]),
        }
    }
}

/// Without what may be secret, as the URL is shown.
fn bare(mut url: Url) -> Url {
    // Only a URL without a host refuses these, and it has neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url
}

pub(super) async fn check(
    report: &mut Report,
    project: Project<'_>,
    wanted: &Wanted<'_>,
    delivered: bool,
) {
    let target = wanted.target.words();
    let hooks = match project.hooks().list().await {
        Ok(hooks) => hooks,
        Err(Error::Forbidden { .. }) => {
            return report.warn(
                "hook",
                "cannot be looked at: GitLab shows hooks to Maintainers only",
                format!(
                    "look at Settings > Webhooks yourself: one hook to {target} with push, tag \
                     push, merge request, comment and pipeline events, a secret, and SSL \
                     verification"
                ),
            );
        }
        Err(error) => {
            return report.warn("hook", error.context().to_string(), "try again later");
        }
    };
    let ours: Vec<&Webhook> =
        hooks.iter().filter(|hook| wanted.target.is_hit_by(&hook.url)).collect();
    match ours.as_slice() {
        [] if delivered => report.warn(
            "hook",
            format!("none of this project leads to {target}, but deliveries have come from it"),
            "all is well if a group's hook sends them; else add one in Settings > Webhooks",
        ),
        [] => report.fail(
            "hook",
            format!("none leads to {target}"),
            "add one in Settings > Webhooks: push, tag push, merge request, comment and pipeline \
             events, and the secret from the settings",
        ),
        [_] => {}
        [_, ..] => report.warn(
            "hook",
            format!("{0} lead to {target}: each event comes {0} times", ours.len()),
            "delete all but one in Settings > Webhooks",
        ),
    }
    for hook in ours {
        triggers(report, hook);
        state(report, hook);
        secret(report, hook, wanted.secrets);
        tls(report, hook);
    }
}

fn triggers(report: &mut Report, hook: &Webhook) {
    const CHECK: &str = "hook events";
    let needed = [
        ("push", hook.push_events),
        ("tag push", hook.tag_push_events),
        ("merge request", hook.merge_requests_events),
    ];
    let wished = [
        ("comment", hook.note_events, "commands such as /retest are not heard"),
        ("pipeline", hook.pipeline_events, "statuses find a later pipeline only by chance"),
    ];
    let on: Vec<&str> = needed
        .into_iter()
        .chain(wished.map(|(name, on, _)| (name, on)))
        .filter_map(|(name, on)| on.then_some(name))
        .collect();
    let on = if on.is_empty() { "none".to_owned() } else { on.join(", ") };
    let advice = |name: &str| format!("switch on {name} events of hook {}", hook.id);
    let mut complete = true;
    for (name, _) in needed.into_iter().filter(|(_, on)| !on) {
        complete = false;
        report.fail(CHECK, format!("hook {}: {name} is off (on: {on})", hook.id), advice(name));
    }
    for (name, _, loss) in wished.into_iter().filter(|(_, on, _)| !on) {
        complete = false;
        report.warn(CHECK, format!("hook {}: {name} is off: {loss}", hook.id), advice(name));
    }
    if complete {
        report.ok(CHECK, format!("hook {}: {on}", hook.id));
    }
}

fn state(report: &mut Report, hook: &Webhook) {
    const CHECK: &str = "hook state";
    const ADVICE: &str = "see that Aldis can be reached from GitLab and the secret is right, then \
                          press Test in Settings > Webhooks";
    let id = hook.id;
    match hook.alert_status.as_deref() {
        Some("disabled") => {
            report.fail(CHECK, format!("hook {id} is disabled after many failures"), ADVICE);
        }
        Some("temporarily_disabled") => {
            let until = match hook.disabled_until {
                Some(until) => format!(" until {until}"),
                None => String::new(),
            };
            let found = format!("hook {id} is disabled{until} after failures; events are lost");
            report.fail(CHECK, found, ADVICE);
        }
        Some("executable") => report.ok(CHECK, format!("hook {id} is enabled")),
        _ => report.ok(CHECK, format!("hook {id}: this GitLab does not tell")),
    }
}

fn secret(report: &mut Report, hook: &Webhook, secrets: Option<&Secrets>) {
    const CHECK: &str = "hook secret";
    let id = hook.id;
    let (Some(token), signing) = (hook.token_present, hook.signing_token_present.unwrap_or(false))
    else {
        return report.ok(CHECK, format!("hook {id}: this GitLab does not tell whether it is set"));
    };
    let known = secrets.is_none_or(|secrets| {
        (token && !secrets.tokens.is_empty()) || (signing && !secrets.signing.is_empty())
    });
    let has = match (token, signing) {
        (true, true) => "a secret token and a signing token",
        (true, false) => "a secret token",
        (false, true) => "a signing token",
        (false, false) => {
            return report.fail(
                CHECK,
                format!("hook {id} has none: its deliveries are refused (401)"),
                "set the value of GITLAB_WEBHOOK_SECRET as its secret token",
            );
        }
    };
    if known {
        report.ok(CHECK, format!("hook {id} has {has}"));
    } else {
        report.fail(
            CHECK,
            format!("hook {id} has {has}, which these settings do not know: it is refused (401)"),
            "set GITLAB_WEBHOOK_SECRET or GITLAB_WEBHOOK_SIGNING_TOKEN to match it",
        );
    }
}

fn tls(report: &mut Report, hook: &Webhook) {
    const CHECK: &str = "hook TLS";
    let id = hook.id;
    let Ok(url) = Url::parse(&hook.url) else { return };
    if url.scheme() == "https" && !hook.enable_ssl_verification {
        report.warn(
            CHECK,
            format!("hook {id} does not verify Aldis's certificate"),
            "switch on SSL verification of the hook",
        );
    } else if url.scheme() == "https" {
        report.ok(CHECK, format!("hook {id} verifies Aldis's certificate"));
    } else if url.host_str().is_some_and(is_loopback) {
        report.ok(CHECK, format!("hook {id} uses none, and none is needed on one machine"));
    } else {
        report.warn(
            CHECK,
            format!("hook {id} uses none: code and secret can be read on the way"),
            "serve Aldis under https:// and change the hook's URL",
        );
    }
}

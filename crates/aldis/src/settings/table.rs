//! All settings with their defaults, for the program's help and the documentation.

/// One setting, for the program's help and the documentation.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
}

/// All settings, in the order in which they matter.
pub const TABLE: &[Setting] = &[
    setting("GITLAB_URL", "", "GitLab's base URL, with its sub-path if it has one"),
    setting("GITLAB_TOKEN", "", "access token of the bot's user, scope `api`"),
    setting("GITLAB_WEBHOOK_SECRET", "", "secret token of the hooks"),
    setting(
        "GITLAB_WEBHOOK_SECRET_PREVIOUS",
        "",
        "the secret token before it, good during a change",
    ),
    setting(
        "GITLAB_WEBHOOK_SIGNING_TOKEN",
        "",
        "signing token of the hooks (`whsec_…`, GitLab 19.0 or later)",
    ),
    setting("GITLAB_WEBHOOK_SIGNING_TOKEN_PREVIOUS", "", "the signing token before it"),
    setting("GIT_AUTH_USER", "oauth2", "user name for cloning"),
    setting("GIT_AUTH_TOKEN", "the API's token", "token for cloning, scope `read_repository`"),
    setting("GIT_SSL_VERIFY", "true", "`false` switches the check of GitLab's certificate off"),
    setting(
        "GITLAB_CA_FILE",
        "",
        "PEM file with certificate authorities to trust besides the system's",
    ),
    setting("GITLAB_API_BUDGET", "600", "API calls per minute, at most"),
    setting("ALDIS_LISTEN", "127.0.0.1:8080", "address and port to listen on"),
    setting(
        "ALDIS_BASE_URL",
        "the address listened on",
        "URL under which people and GitLab reach this server",
    ),
    setting(
        "ALDIS_DATA_DIR",
        "./aldis-data",
        "directory of the database, the spool, the mirrors and the runs",
    ),
    setting(
        "ALDIS_DATABASE_URL",
        "sqlite: in the data directory",
        "`sqlite:DIRECTORY`, or `postgres://user:password@host:5432/database`",
    ),
    setting(
        "ALDIS_AMQP_URL",
        "",
        "`amqps://user:password@host:5671`, a RabbitMQ through which processes tell each other to look",
    ),
    setting(
        "ALDIS_SPOOL_LIMIT",
        "1024",
        "MiB of deliveries that are kept in the data directory while the database is away",
    ),
    setting(
        "ALDIS_SECRET_KEY_FILE",
        "secret.key in the data directory",
        "key that seals secrets in the database",
    ),
    setting("ALDIS_EXECUTOR", "bubblewrap", "`bubblewrap`, or `shell` without isolation"),
    setting("ALDIS_SLOTS", "2", "how many runs go on at once"),
    setting(
        "ALDIS_STOP_DELAY",
        "0",
        "seconds that a process goes on when it is asked to stop, while `/readyz` says so: for a proxy to notice",
    ),
    setting(
        "ALDIS_STOP_TIMEOUT",
        "300",
        "seconds that runs may go on when a process is asked to stop; then test runs are handed back",
    ),
    setting("ALDIS_SERVER_URL", "", "of `aldis runner`: URL of the server whose runs it executes"),
    setting("ALDIS_RUNNER_TOKEN", "", "of `aldis runner`: its token, from `aldis runners add`"),
    setting(
        "ALDIS_SERVER_CA_FILE",
        "",
        "of `aldis runner`: PEM file with certificate authorities to trust besides the system's",
    ),
    setting("ALDIS_BOOTSTRAP_TOKEN", "made at the first start", "opens the pages"),
    setting("ALDIS_LOG", "info", "what is logged, as in `info,aldis_feedback=debug`"),
    setting("ALDIS_LOG_FORMAT", "text", "`text` or `json`"),
];

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default, meaning }
}

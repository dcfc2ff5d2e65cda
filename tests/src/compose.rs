//! `docker-compose.yml` and `Dockerfile` as an engine reads them: what each container is given.
//!
//! Never here: what that means to the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// The image that the file builds.
const IMAGE: &str = "aldis";
/// Where a container sees its secrets.
const SECRETS: &str = "/run/secrets/";

/// The file. Keys that no test asks for are left out.
#[derive(Debug, Deserialize)]
pub struct Compose {
    pub services: BTreeMap<String, Service>,
    pub networks: BTreeMap<String, Network>,
    pub volumes: BTreeMap<String, BTreeMap<String, String>>,
    pub secrets: BTreeMap<String, Secret>,
}

/// One kind of container.
#[derive(Debug, Deserialize)]
pub struct Service {
    pub image: String,
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub entrypoint: Vec<String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub secrets: Vec<Mount>,
    #[serde(default)]
    pub ports: Vec<String>,
    #[serde(default)]
    pub volumes: Vec<String>,
    pub networks: Vec<String>,
    #[serde(default)]
    pub depends_on: BTreeMap<String, Dependency>,
    pub healthcheck: HealthCheck,
    pub restart: String,
    pub stop_grace_period: Option<String>,
    #[serde(default)]
    pub read_only: bool,
    #[serde(default)]
    pub security_opt: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
pub struct Network {
    #[serde(default)]
    pub internal: bool,
}

/// A file beside the compose file.
#[derive(Debug, Deserialize)]
pub struct Secret {
    pub file: PathBuf,
}

#[derive(Debug, Deserialize)]
pub struct Dependency {
    pub condition: String,
}

#[derive(Debug, Deserialize)]
pub struct HealthCheck {
    pub test: Vec<String>,
}

/// A secret that a container is given, perhaps under another name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Mount {
    Same(String),
    Named { source: String, target: String },
}

impl Mount {
    /// Its name in the file.
    pub fn source(&self) -> &str {
        match self {
            Self::Same(name) => name,
            Self::Named { source, .. } => source,
        }
    }

    /// Where the container sees it.
    pub fn path(&self) -> String {
        let (Self::Same(name) | Self::Named { target: name, .. }) = self;
        format!("{SECRETS}{name}")
    }
}

impl Compose {
    /// Reads the file with these variables, as if they stood in `.env`.
    pub fn read(variables: &[(&str, &str)]) -> Self {
        let text = interpolated(&text_of("docker-compose.yml"), variables);
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("docker-compose.yml: {error}"))
    }

    /// The services that are Aldis itself.
    pub fn aldis(&self) -> impl Iterator<Item = (&str, &Service)> {
        let all = self.services.iter().map(|(name, service)| (name.as_str(), service));
        all.filter(|(_, service)| service.image == IMAGE)
    }
}

/// What the image sets in every container.
pub fn image_environment() -> BTreeMap<String, String> {
    let text = text_of("Dockerfile");
    let set = text.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A file at the root of the repository.
pub fn text_of(name: &str) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = here.parent().expect("the tests package lies in the workspace").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// `90s`, `6m`: a number and one unit.
pub fn duration(text: &str) -> Duration {
    let (number, seconds) = match text.split_at(text.len() - 1) {
        (number, "s") => (number, 1),
        (number, "m") => (number, 60),
        _ => panic!("`{text}` should end with s or m"),
    };
    Duration::from_secs(number.parse::<u64>().expect("a number before the unit") * seconds)
}

/// `${NAME:-default}`, `${NAME:?what it is}`, and `$$` for a dollar.
fn interpolated(text: &str, variables: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let variable = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        let (variable, after) = variable.expect("a dollar begins ${NAME:…} or is doubled");
        let (name, other) = variable.split_once(':').expect("a default or an explanation");
        let given = variables.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        let value = given.or_else(|| other.strip_prefix('-'));
        out.push_str(value.unwrap_or_else(|| panic!("{name}: {}", &other[1..])));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_as_an_engine_does() {
        let text = interpolated(
            "${A:-x}, ${B:-1.2.3.4:5}:6, $$(cat) ${C:?a C}",
            &[("A", "a"), ("C", "c")],
        );
        assert_eq!(text, "a, 1.2.3.4:5:6, $(cat) c");
    }

    #[test]
    #[should_panic(expected = "C: such as c")]
    fn a_variable_that_is_needed_is_needed() {
        interpolated("${C:?such as c}", &[]);
    }
}

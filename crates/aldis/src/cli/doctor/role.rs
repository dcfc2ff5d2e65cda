//! GitLab's roles by their numbers (`lib/gitlab/access.rb`).

pub(super) const DEVELOPER: u32 = 30;
pub(super) const MAINTAINER: u32 = 40;

/// `Developer (30)`
pub(super) fn words(level: u32) -> String {
    let name = match level {
        5 => "Minimal access",
        10 => "Guest",
        15 => "Planner",
        20 => "Reporter",
        DEVELOPER => "Developer",
        MAINTAINER => "Maintainer",
        50 => "Owner",
        _ => return format!("a role of level {level}"),
    };
    format!("{name} ({level})")
}

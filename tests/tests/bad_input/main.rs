//! Whatever comes in, by hook, config file or job: GitLab shows what is wrong, and the bot goes on.

#![cfg(test)]

mod configs;
mod deliveries;
mod jobs;

use aldis_tests::Story;

/// One stack that runs `ci.sh`.
const RIGHT: &str =
    "version: 1\nstacks:\n  ci:\n    steps:\n      - { name: test, run: sh ci.sh }\n";

/// A good push succeeds as if nothing had been, and what always holds still does.
async fn goes_on(story: Story) {
    story.push("GOOD", "main", &[(".aldis.yml", RIGHT), ("ci.sh", "echo fine\n")]);
    story.settle().await;
    let good = story.statuses("GOOD");
    assert!(story.shows("GOOD", "aldis", "success"), "{good}");
    assert!(story.shows("GOOD", "aldis/ci", "success"), "{good}");
    story.finish().await;
}

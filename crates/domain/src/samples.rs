//! Samples that several modules' tests begin with.

use crate::event::run::RunRequested;

/// A run of the stack `web` for !7 of project 1.42, tracked or not.
pub(crate) fn run_requested(tracked: bool) -> RunRequested {
    let deploys = serde_json::json!({
        "environment": {"name": "prod", "url": null, "tier": null, "tracked_branch": null},
        "branch": "main"
    });
    let text = serde_json::json!({
        "run": "0".repeat(26), "project": "1.42", "sha": "a".repeat(40), "stack": "web",
        "definition": {
            "dir": ".", "steps": [], "on": {"push": null, "tag": null, "merge_request": null},
            "paths": [], "paths_ignore": [], "env": {}, "timeout": 60, "needs": [],
            "reports": {"junit": [], "terraform_plan": []}, "environment": null,
            "concurrency": {"cancel_superseded": true}, "executor": null, "network": "default"
        },
        "trust": "member", "round": 0, "git_ref": "refs/heads/main",
        "audience": {"change": "mr-1.42-7", "posting_project": "1.42"},
        "deploys": tracked.then_some(deploys),
        "needs": {}, "needed": false, "why": "", "delivery": null,
    });
    serde_json::from_value(text).expect("the sample is an event")
}

//! Brings GitLab to the state the log asks for: statuses, notes, environments, deployments.

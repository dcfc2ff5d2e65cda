//! A stateful GitLab simulator: API, git over HTTP, signed hooks and faults on demand.

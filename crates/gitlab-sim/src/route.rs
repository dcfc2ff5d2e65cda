//! Names for the endpoints, by which faults are aimed and calls are counted.

/// One endpoint, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// Only for aiming: every request.
    Any,
    /// Only for aiming: every API request that changes something.
    AnyWrite,
    /// Only for aiming: every API request that only reads.
    AnyRead,
    /// Fetching or pushing by git.
    Git,
    /// An API path that GitLab does not have either.
    Unknown,
    /// `/version` and `/metadata`.
    Version,
    /// `/user`.
    User,
    /// `/personal_access_tokens/self`.
    TokenGet,
    /// `/personal_access_tokens/self/rotate`.
    TokenRotate,
    /// `/projects`.
    ProjectList,
    /// `/projects/:id`.
    ProjectGet,
    /// `/projects/:id/members/all/:user_id`.
    MemberGet,
    /// `/projects/:id/merge_requests`.
    MergeRequestList,
    /// `/projects/:id/merge_requests/:iid`.
    MergeRequestGet,
    /// Its `/diffs`.
    MergeRequestDiffs,
    /// Its `/versions`.
    MergeRequestVersions,
    /// Its `/commits`.
    MergeRequestCommits,
    /// Its `/pipelines`.
    MergeRequestPipelines,
    /// GET of its `/notes`.
    NoteList,
    /// GET of one note.
    NoteGet,
    /// POST of a note.
    NoteCreate,
    /// PUT of a note.
    NoteUpdate,
    /// DELETE of a note.
    NoteDelete,
    /// POST of a note's `/award_emoji`.
    NoteAward,
    /// `/repository/commits/:sha`.
    CommitGet,
    /// `/repository/commits/:sha/merge_requests`.
    CommitMergeRequests,
    /// `/repository/commits/:sha/statuses`.
    StatusList,
    /// POST of `/statuses/:sha`.
    StatusPost,
    /// `/pipelines`.
    PipelineList,
    /// `/pipelines/:id`.
    PipelineGet,
    /// `/pipelines/:id/jobs`.
    PipelineJobs,
    /// `/repository/compare`.
    Compare,
    /// `/repository/files/:path/raw`.
    FileRaw,
    /// `/repository/branches/:name`.
    BranchGet,
    /// `/repository/tags/:name`.
    TagGet,
    /// GET of `/environments`.
    EnvironmentList,
    /// GET of one environment.
    EnvironmentGet,
    /// POST of an environment.
    EnvironmentCreate,
    /// PUT of an environment.
    EnvironmentUpdate,
    /// DELETE of an environment.
    EnvironmentDelete,
    /// POST of an environment's `/stop`.
    EnvironmentStop,
    /// GET of `/deployments`.
    DeploymentList,
    /// GET of one deployment.
    DeploymentGet,
    /// POST of a deployment.
    DeploymentCreate,
    /// PUT of a deployment.
    DeploymentUpdate,
    /// DELETE of a deployment.
    DeploymentDelete,
    /// GET of `/hooks`.
    HookList,
    /// GET of one hook.
    HookGet,
    /// POST of a hook.
    HookCreate,
    /// PUT of a hook.
    HookUpdate,
    /// DELETE of a hook.
    HookDelete,
}

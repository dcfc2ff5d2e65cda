//! From GitLab's payload to what it means to us. GitLab's types end here.

use aldis_domain::id::{ProjectKey, Sha};
use aldis_domain::trigger::{
    MergeRequestAction, MergeRequestTrigger, NoteTrigger, PipelineTrigger, Push, Trigger, commands,
};
use aldis_gitlab::hook::Payload;
use aldis_gitlab::hook::payload;

/// The project the payload names, also where nobody acts on what it tells.
pub(crate) fn project(payload: &Payload, instance: u32) -> Option<ProjectKey> {
    let id = match payload {
        Payload::Push(push) | Payload::TagPush(push) => Some(push.project_id),
        Payload::MergeRequest(mr) => Some(mr.target_project_id),
        Payload::Note(note) => Some(note.project_id),
        Payload::Pipeline(pipeline) => Some(pipeline.project_id),
        Payload::Other { project_id, .. } => *project_id,
    };
    id.map(|id| ProjectKey::new(instance, id))
}

/// The trigger, or what in the payload is not as GitLab writes it.
pub(crate) fn translate(payload: Payload, instance: u32) -> Result<Trigger, String> {
    let project = |id| ProjectKey::new(instance, id);
    Ok(match payload {
        Payload::Push(push) => Trigger::Push(moved(&push, instance)?),
        Payload::TagPush(push) => Trigger::Tag(moved(&push, instance)?),
        Payload::MergeRequest(mr) => Trigger::MergeRequest(MergeRequestTrigger {
            project: project(mr.target_project_id),
            iid: mr.iid,
            action: action(&mr),
            head: match mr.last_commit.as_deref() {
                Some(sha) => {
                    Some(sha.parse().map_err(in_field("object_attributes.last_commit.id"))?)
                }
                None => None,
            },
            source_project: mr.source_project_id,
            source_branch: mr.source_branch,
            target_branch: mr.target_branch,
            draft: mr.draft,
            actor: mr.user_id.unwrap_or(0),
        }),
        Payload::Note(note) => Trigger::Note(NoteTrigger {
            project: project(note.project_id),
            note: note.id,
            merge_request: note.merge_request_iid,
            created: note.action.as_deref().is_none_or(|action| action == "create"),
            system: note.system,
            actor: note.user_id.unwrap_or(0),
            commands: commands(&note.text),
        }),
        Payload::Pipeline(pipeline) => Trigger::Pipeline(PipelineTrigger {
            project: project(pipeline.project_id),
            pipeline: pipeline.id,
            sha: pipeline.sha.parse().map_err(in_field("object_attributes.sha"))?,
            name: pipeline.ref_,
            source: pipeline.source,
            merge_request: pipeline.merge_request_iid,
        }),
        Payload::Other { event, .. } => Trigger::Other { event },
    })
}

fn in_field<E: std::fmt::Display>(field: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{field}: {error}")
}

/// An annotated tag's `after` is the tag object; its commit is `checkout_sha`.
fn moved(push: &payload::Push, instance: u32) -> Result<Push, String> {
    let after = push.checkout_sha.as_deref().unwrap_or(&push.after);
    let gone = Sha::parse_optional(&push.after).map_err(in_field("after"))?.is_none();
    let after =
        if gone { None } else { Sha::parse_optional(after).map_err(in_field("checkout_sha"))? };
    Ok(Push {
        project: ProjectKey::new(instance, push.project_id),
        name: push.ref_.clone(),
        before: Sha::parse_optional(&push.before).map_err(in_field("before"))?,
        after,
        actor: push.user_id.unwrap_or(0),
        skip_ci: push.skips_ci(),
    })
}

/// `update` comes for many reasons; only `oldrev` means new commits.
fn action(mr: &payload::MergeRequest) -> MergeRequestAction {
    match mr.action.as_deref() {
        Some("open") => MergeRequestAction::Opened,
        Some("reopen") => MergeRequestAction::Reopened,
        Some("close") => MergeRequestAction::Closed,
        Some("merge") => MergeRequestAction::Merged,
        Some("update") if mr.oldrev.is_some() => MergeRequestAction::Updated,
        Some("update") if mr.changes.target_branch => MergeRequestAction::Retargeted,
        Some("update") if mr.changes.draft == Some((true, false)) => MergeRequestAction::Ready,
        Some("update") if mr.changes.labels => MergeRequestAction::Labeled,
        _ => MergeRequestAction::Edited,
    }
}

//! Many merge requests at once, and kills at random moments.

use std::time::Duration;

use aldis_gitlab_sim::{JobState, MergeRequestRef};

use crate::world::{BOT, World};

const MERGE_REQUESTS: u64 = 30;
const KILLS: usize = 20;
const SEED: u64 = 20_261_120;
/// A kill comes after so many further calls to GitLab, at most.
const MOST_CALLS: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_in_a_burst_lose_and_double_nothing() {
    let mut world = World::build(&format!("burst, seed {SEED}"), &[]).await;
    // A note's creation may be left in doubt, which takes 75 s, and by a later kill once more.
    world.patience = Duration::from_mins(4);
    let developer = world.developer;
    for number in 1..=MERGE_REQUESTS {
        let branch = format!("change-{number}");
        world.push(&branch, &branch, &format!("echo {number}\n"));
        world.sim.by(developer).propose(world.project, &branch, &branch).expect("a proposal");
    }
    let mut random = SEED | 1;
    for _ in 0..KILLS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let calls = world.sim.calls().len() + 1 + usize::try_from(random % MOST_CALLS).unwrap_or(0);
        let come = world.sim.wait_until(|sim| sim.calls().len() >= calls);
        let come = tokio::time::timeout(Duration::from_mins(1), come).await;
        assert!(come.is_ok(), "{}", world.describe("too few calls for all kills"));
        world.bot.kill().await;
        world.revive().await;
        world.send_again();
    }
    world.settle().await;
    assert_eq!(world.kills, KILLS);
    world.nothing_lost_or_doubled().await;
    for iid in 1..=MERGE_REQUESTS {
        let mr = MergeRequestRef { project: world.project, iid };
        let page = world.sim.merge_request_page(mr).expect("the merge request");
        let pipeline = page.pipeline.as_ref();
        let green = pipeline.is_some_and(|p| {
            p.jobs.len() == 3 && p.jobs.iter().all(|job| job.state == JobState::Success)
        });
        let notes: Vec<_> = page.notes.iter().filter(|note| note.author == BOT).collect();
        let told = notes.len() == 1 && notes[0].body.contains("2 stacks passed");
        assert!(green && told, "{}", world.describe(&format!("!{iid} is not as it should be")));
    }
    world.stop().await;
}

//! Kills the shipped program at every named point and checks that nothing is lost or doubled.
//!
//! The simulated GitLab lives in the test and is the oracle: at the end a person must see there
//! what stands there when nothing was killed. Needs git and bubblewrap, and builds the program.

mod burst;
mod compose;
mod crew;
mod divided;
mod effects;
mod full;
mod half;
mod moved;
mod oracle;
mod outage;
mod play;
mod points;
mod rolling;
mod spool;
mod stops;
mod trials;
mod vanish;
mod world;

//! The simulator as the bot and a test meet it: over HTTP, and through its handle.

#[cfg(test)]
mod deployments;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod git;
#[cfg(test)]
mod hooks;
#[cfg(test)]
mod notes;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod pipelines;
#[cfg(test)]
mod projects;
#[cfg(test)]
mod statuses;
#[cfg(test)]
mod world;

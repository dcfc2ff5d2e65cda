//! Stories: people act in GitLab, the bot reacts, and the whole visible result is looked at.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod config;
#[cfg(test)]
mod crowds;
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod lost;
#[cfg(test)]
mod merge_requests;
#[cfg(test)]
mod needs;
#[cfg(test)]
mod outsiders;
#[cfg(test)]
mod pipelines;
#[cfg(test)]
mod pushes;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod repeats;
#[cfg(test)]
mod second_note;
#[cfg(test)]
mod signatures;
mod stale;

//! Stories: people act in GitLab, the bot reacts, and the whole visible result is looked at.

#[cfg(test)]
mod ends;
#[cfg(test)]
mod merge_requests;
#[cfg(test)]
mod pushes;
#[cfg(test)]
mod repeats;

//! The built program, as people and scripts call it.

#[cfg(test)]
mod doctor;
#[cfg(test)]
mod healthy;
#[cfg(test)]
mod lint;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;

//! Throw-away database servers and brokers for tests and benchmarks: each has a directory and a port of its own, is
//! started from the installed programs, and ends with the process that started it, however that ends. And what may
//! fail beside them: the ways to them, and disks.
//!
//! Whatever is missing is a panic that says how to get it: a test that needs a server does not pass
//! without it.

mod certificates;
mod disk;
mod postgres;
mod process;
mod rabbitmq;
mod trap;
mod valve;

pub use disk::small_disk;
pub use postgres::{Postgres, postgres};
pub use rabbitmq::{RabbitMq, rabbitmq};
pub use trap::{Caught, Moment, Trap};
pub use valve::Valve;

//! The story kit: starts the bot against the simulator and tells what a person would see.

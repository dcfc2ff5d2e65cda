//! The event log, work items, documents and secrets in SQL.

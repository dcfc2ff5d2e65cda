//! Executes runs: workspace, sandbox, output, reports.

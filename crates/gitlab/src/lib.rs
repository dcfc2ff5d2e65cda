//! A typed GitLab client, webhook verification and the payload fields Aldis reads.

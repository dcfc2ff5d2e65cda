#!/bin/sh
# Stands in for `terraform plan` and `terraform show -json`.
cat >plan.json <<'JSON'
{"format_version":"1.2","resource_changes":[
 {"address":"dns_record.api","change":{"actions":["create"],"before":null,"after":{"name":"api","ttl":300},"after_unknown":{}}},
 {"address":"firewall.edge","change":{"actions":["update"],"before":{"ports":[443]},"after":{"ports":[443,8443]},"after_unknown":{}}}
]}
JSON
echo "Plan: 1 to add, 1 to change, 0 to destroy."

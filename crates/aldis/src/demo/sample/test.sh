#!/bin/sh
# A test suite in miniature: compares what the service answers with what it should answer.
set -u
failed=0
cases=""
check() {
  if [ "$(sh ./answer.sh "$1")" = "$2" ]; then
    echo "ok    answer($1)"
    cases="$cases<testcase classname=\"answer\" name=\"of $1\" time=\"0.01\"/>"
  else
    echo "FAIL  answer($1): expected $2, got $(sh ./answer.sh "$1")"
    failed=$((failed + 1))
    cases="$cases<testcase classname=\"answer\" name=\"of $1\" time=\"0.01\"><failure message=\"expected $2, got $(sh ./answer.sh "$1")\"/></testcase>"
  fi
}
check 1 2
check 2 4
check 3 6
check 21 42
printf '<testsuite name="api" tests="4" failures="%s">%s</testsuite>\n' "$failed" "$cases" >report.xml
[ "$failed" -eq 0 ]

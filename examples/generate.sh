#!/bin/sh
# Make one image with curl: sh generate.sh "a lighthouse in fog" lighthouse.png
# Needs curl and jq. DARKROOM_URL and DARKROOM_API_KEY name the front door and the key.
set -eu

prompt=$1
file=$2
ask() { curl -sS --fail-with-body -H "Authorization: Bearer $DARKROOM_API_KEY" "$@"; }

# jq quotes the prompt; never paste one into JSON by hand.
body=$(jq -n --arg prompt "$prompt" '{model: "test/test", prompt: $prompt}')
id=$(ask "$DARKROOM_URL/v1/jobs" -H "Content-Type: application/json" -d "$body" | jq -r .id)

# Each call is held for up to a minute, and answers as soon as the job is final.
job=$(ask "$DARKROOM_URL/v1/jobs/$id?wait=60")
while echo "$job" | jq -e '.status == "queued" or .status == "running"' >/dev/null; do
  job=$(ask "$DARKROOM_URL/v1/jobs/$id?wait=60")
done
if ! echo "$job" | jq -e '.status == "succeeded"' >/dev/null; then
  echo "$job" | jq -r '"\(.id) \(.status): \(.error.message)"' >&2
  exit 1
fi

# The signed URL needs no key.
curl -sS --fail "$(echo "$job" | jq -r '.result.data[0].url')" -o "$file"
echo "$file: $id"

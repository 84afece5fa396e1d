#!/usr/bin/env bash
# Makes gate.md the one comment of this gate on a pull request: written once, then updated on each push. A token that
# may only read, as that of a fork's pull request, is no failure: the job's summary says the same.
#
# From the environment: GATE_RESULTS (folder of gate.md), GATE_PULL (number), GATE_MARKER (tells this gate's comment
# from others'), GITHUB_REPOSITORY, GH_TOKEN.
set -uo pipefail

export MARKER="<!-- $GATE_MARKER -->"
repository="repos/$GITHUB_REPOSITORY"
body=$(mktemp)
trap 'rm -f "$body"' EXIT
{ echo "$MARKER" && cat "$GATE_RESULTS/gate.md"; } > "$body" || exit 1

comment() {
  local mine
  mine=$(
    gh api --paginate "$repository/issues/$GATE_PULL/comments" \
      --jq '.[] | select(.user.login == "github-actions[bot]" and (.body | startswith(env.MARKER))) | .id'
  ) || return 1
  mine=$(tail -n 1 <<< "$mine")
  if [ -n "$mine" ]; then
    gh api --silent --method PATCH "$repository/issues/comments/$mine" --field "body=@$body"
  else
    gh api --silent --method POST "$repository/issues/$GATE_PULL/comments" --field "body=@$body"
  fi
}

comment || echo "::notice title=gate::no comment on the pull request (the token may only read); see the job's summary"

#!/usr/bin/env bash
# Makes what a finished gate found the comment of that gate on its pull request: written once, then updated on each push.
#
# The gate ran the code of the pull request, so all it left is data from anybody: nothing of it is run, checked out or
# unpacked here. Which pull request it is comes from GitHub and not from the artifact; of the artifact gate.md is read,
# up to a size, and what could mention, link or hide something in it is written out.
#
# From the environment: GATE_RUN (id of the gate's workflow run), GATE_SHA and GATE_BRANCH (OWNER:BRANCH) of its head,
# GITHUB_REPOSITORY, GH_TOKEN.
set -uo pipefail

readonly MOST_ZIP=50000000 MOST_TEXT=60000 MOST_GATES=10 # bytes, bytes, artifacts
repository="repos/$GITHUB_REPOSITORY"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

notice() { echo "::notice title=gate::no comment: $1" && exit 0; }

# The open pull request whose head was gated: a newer push has a gate of its own.
export GATE_SHA
pull=$(
  gh api --method GET "$repository/pulls" --raw-field state=open --raw-field "head=$GATE_BRANCH" \
    --jq '.[] | select(.head.sha == env.GATE_SHA) | .number'
) || notice "the pull requests cannot be read"
pull=$(head -n 1 <<< "$pull")
[[ $pull =~ ^[0-9]+$ ]] || notice "no open pull request has this head any more"

# Text as the gate meant it, and nothing else: no control characters or overrides of direction, no mentions, references,
# links, pictures or tags but <sub>. What the gate wrote out as an entity stays; a zero-width space ends what would
# mention somebody or refer to something even so. In between \x03 stands for &#, and \x04 for <sub>.
harmless() (
  export LC_ALL=C
  tr -d '\000-\010\013-\037\177' | head -c "$MOST_TEXT" | sed -E \
    -e 's/\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]//g' \
    -e 's/&#(35|38|42|60|62|64|91|92|93|95|96|124);/\x03\1;/g' -e 's/&/\&amp;/g' \
    -e 's/@/\x0364;/g' -e 's/\[/\x0391;/g' -e 's/`/\x0396;/g' -e 's/#([0-9])/\x0335;\1/g' \
    -e 's#<(/?)sub>#\x04\1>#g' -e 's/</\&lt;/g' -e 's#\x04(/?)>#<\1sub>#g' \
    -e 's#://#:\x0347;/#g' -e 's/www\./www\x0346;/g' \
    -e 's/\x03(35|64);/\&#\1;\&#8203;/g' -e 's/\x03/\&#/g' | head -c "$MOST_TEXT" | iconv -c -f UTF-8 -t UTF-8
)

comment() { # NAME of an artifact, whose text is in body
  local mine
  export MARKER="<!-- $1 -->"
  { echo "$MARKER" && cat "$folder/text"; } > "$folder/body"
  mine=$(
    gh api --paginate "$repository/issues/$pull/comments" \
      --jq '.[] | select(.user.login == "github-actions[bot]" and (.body | startswith(env.MARKER))) | .id'
  ) || return 1
  mine=$(tail -n 1 <<< "$mine")
  if [[ $mine =~ ^[0-9]+$ ]]; then
    gh api --silent --method PATCH "$repository/issues/comments/$mine" --field "body=@$folder/body"
  else
    gh api --silent --method POST "$repository/issues/$pull/comments" --field "body=@$folder/body"
  fi
}

artifacts=$(
  gh api "$repository/actions/runs/$GATE_RUN/artifacts?per_page=100" \
    --jq '.artifacts[] | select(.name | test("^gate-[A-Za-z0-9_-]{1,80}$")) | "\(.id) \(.size_in_bytes) \(.name)"'
) || notice "the results of the gate cannot be read"
[ -n "$artifacts" ] || notice "the gate left no result"

status=0
while read -r id size name; do
  if [ "$size" -gt "$MOST_ZIP" ]; then
    echo "::warning title=gate::$name has $size bytes: not read"
    continue
  fi
  gh api "$repository/actions/artifacts/$id/zip" > "$folder/zip" || { status=1 && continue; }
  unzip -p "$folder/zip" gate.md 2> /dev/null | harmless > "$folder/text"
  [ -s "$folder/text" ] || continue
  comment "$name" || status=1
done < <(head -n "$MOST_GATES" <<< "$artifacts")
exit "$status"

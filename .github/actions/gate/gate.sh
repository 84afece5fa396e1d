#!/usr/bin/env bash
# Runs the gate and makes its exit status the outcome of a step. Status 0 passes, 4 (undecided) passes with a warning,
# 1 is a regression. Everything else is an error and fails, and so is a gate that left no result, whatever its status:
# a baseline that is missing is no pass, and a gate that broke down is no regression.
#
# From the environment: GATE_BASE and GATE_HEAD (folders of runs) or GATE_BASE_REF, GATE_ARGUMENTS (separated by
# blanks), GATE_SUITE (folder of the suite), GATE_RESULTS (folder for gate.md, gate.xml, gate.json and gate.log).
set -ufo pipefail # f: blanks separate GATE_ARGUMENTS, and nothing else happens to them

absolute() {
  case $1 in
    /*) printf '%s' "$1" ;;
    *) printf '%s' "$PWD/$1" ;;
  esac
}

arguments=()
for run in "${GATE_BASE:-}" "${GATE_HEAD:-}"; do
  if [ -n "$run" ]; then arguments+=("$(absolute "$run")"); fi
done
if [ -n "${GATE_BASE_REF:-}" ]; then arguments+=(--base-ref "$GATE_BASE_REF"); fi
for word in ${GATE_ARGUMENTS:-}; do arguments+=("$word"); done
results=$(absolute "$GATE_RESULTS")
arguments+=(--markdown "$results/gate.md" --junit "$results/gate.xml" --json "$results/gate.json")
mkdir -p "$results"
rm -f "$results"/gate.{md,xml,json,log}

(
  cd "$GATE_SUITE" || exit 2
  python -m benchmarks gate "${arguments[@]}"
) 2>&1 | tee "$results/gate.log"
status=${PIPESTATUS[0]}

case $status in
  0) verdict=pass ;;
  1) verdict=regression ;;
  4) verdict=inconclusive ;;
  *) verdict=error ;;
esac
if [ ! -s "$results/gate.json" ]; then verdict=error; fi

if [ "$verdict" = error ]; then
  message=$(grep '^error: ' "$results/gate.log" | tail -n 1)
  message=${message:-error: the gate broke down with exit status $status and left no result, see its log}
  printf '### ❌ Cost and latency gate: error\n\nNo verdict.\n\n    %s\n' "$message" > "$results/gate.md"
fi
cat "$results/gate.md" >> "${GITHUB_STEP_SUMMARY:-/dev/null}"
printf 'verdict=%s\nstatus=%s\n' "$verdict" "$status" >> "${GITHUB_OUTPUT:-/dev/null}"

case $verdict in
  pass) exit 0 ;;
  inconclusive) echo "::warning title=gate::undecided: nothing is known to be worse, some checks are open" && exit 0 ;;
  regression) echo "::error title=gate::a regression: something costs more, runs slower or answers worse" && exit 1 ;;
  error) echo "::error title=gate::${message//%/%25}" && exit 1 ;;
esac

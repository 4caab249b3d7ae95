#!/usr/bin/env bash
# Has Google write down who reads and writes documents and accounts (data access audit logs), in both projects; who
# changes settings is written down anyway. Run again, it changes nothing. What others have switched on stays on, and
# whom they left out stays left out of that.
#
#     deploy/audit.sh               # of people and other programs; what the service does with documents is left out
#     EVERYTHING=1 deploy/audit.sh  # of the service, too
#     READS=no deploy/audit.sh      # doesn't switch on that documents were read, which is most of what clients do
#
# What the service does with documents is most of what is done, and is told by the service's own log and claimsAudit;
# docs/operations.md has what either costs.
# ADMIN_PROJECT, ASSESSMENT_PROJECT: as in deploy/README.md.
set -euo pipefail
: "${ADMIN_PROJECT:?}" "${ASSESSMENT_PROJECT:?}"
umask 077
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Firestore's are switched on under the name of Datastore. Who is left out is left out only where a kind of entry is
# switched on by this, so that running it never makes anybody unseen who was seen.
# shellcheck disable=SC2016
merged='
    def without($members): (.exemptedMembers // []) - $members | if . == [] then empty else {exemptedMembers: .} end;
    def logged($service; $types; $left_out; $seen):
        (map(select(.service == $service)) | first // {service: $service}) as $there
        | map(select(.service != $service)) + [$there | .auditLogConfigs = reduce $types[] as $type (
            .auditLogConfigs // [];
            if any(.logType == $type)
            then map(del(.exemptedMembers) + (without($seen) // {}))
            else . + [{logType: $type} + if $left_out == [] then {} else {exemptedMembers: $left_out} end]
            end)];
    .auditConfigs = (.auditConfigs // []
        | logged("datastore.googleapis.com"; $documents; $left_out; $seen)
        | logged("identitytoolkit.googleapis.com"; ["ADMIN_READ", "DATA_READ", "DATA_WRITE"]; []; []))'

service="$(jq --null-input --compact-output --arg admin "$ADMIN_PROJECT" --arg assessment "$ASSESSMENT_PROJECT" \
    '[$admin, $assessment] | unique | map("serviceAccount:roar-functions@\(.).iam.gserviceaccount.com")')"
left_out="$service" seen='[]'
if [[ -n "${EVERYTHING:-}" ]]; then left_out='[]' seen="$service"; fi
documents='["ADMIN_READ", "DATA_READ", "DATA_WRITE"]'
if [[ "${READS:-}" == no ]]; then documents='["ADMIN_READ", "DATA_WRITE"]'; fi
for project in "$ADMIN_PROJECT" "$ASSESSMENT_PROJECT"; do
    # With the policy comes its etag: when somebody else changes it meanwhile, nothing is written.
    gcloud projects get-iam-policy "$project" --format=json >"$work/before"
    jq --argjson documents "$documents" --argjson left_out "$left_out" --argjson seen "$seen" "$merged" "$work/before" >"$work/after"
    if cmp --silent <(jq --sort-keys '.auditConfigs // [] | sort_by(.service)' "$work/before") \
        <(jq --sort-keys '.auditConfigs | sort_by(.service)' "$work/after"); then
        echo "deploy/audit.sh: $project: nothing to change" >&2
    else
        gcloud projects set-iam-policy "$project" "$work/after" --quiet >/dev/null
        echo "deploy/audit.sh: $project: switched on" >&2
    fi
done

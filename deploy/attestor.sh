#!/usr/bin/env bash
# Binary Authorization: Cloud Run takes only images that the deployer has attested to, whoever deploys them. Makes the
# attestor with its key in the admin project, lets the deployer sign with it, and sets the policies of both projects. Run
# again, it changes nothing. After deploy/github.sh; the deployer attests once its variable ATTESTOR_KEY is set.
#
#     deploy/attestor.sh             # images without an attestation are written down, but run
#     ENFORCE=1 deploy/attestor.sh   # they're refused; once an attested image serves in both projects
#
# Only services that say so are held to the policy (deploy/service.yaml does), and clusters, if the projects have any.
# What else a policy says stays. Enforcement is never taken back by this.
# ADMIN_PROJECT, ASSESSMENT_PROJECT, REGION: as in deploy/README.md. EXEMPT: a pattern of images that need no
# attestation, such as a sidecar's.
set -euo pipefail
: "${ADMIN_PROJECT:?}" "${ASSESSMENT_PROJECT:?}" "${REGION:?}"
umask 077
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
notes="${CONTAINER_ANALYSIS_URL:-https://containeranalysis.googleapis.com}/v1/projects/$ADMIN_PROJECT/notes"
attestor="projects/$ADMIN_PROJECT/attestors/roar"
deployer="serviceAccount:roar-deployer@$ADMIN_PROJECT.iam.gserviceaccount.com"

fail() {
    echo "deploy/attestor.sh: $1" >&2
    exit 1
}

# Notes have no command: ask METHOD URL [ARGUMENT...]. The token is on no command line.
ask() {
    local method="$1" url="$2"
    shift 2
    status="$(curl --silent --show-error --max-time 60 --request "$method" --header @"$work/headers" \
        --header "X-Goog-User-Project: $ADMIN_PROJECT" --output "$work/answer" --write-out '%{http_code}' "$@" "$url")"
}

asked() {
    ask "$@"
    [[ "$status" == 200 ]] || fail "$1 $2: HTTP $status: $(jq --raw-output '.error.message?' "$work/answer")"
}

gcloud services enable --project="$ADMIN_PROJECT" \
    binaryauthorization.googleapis.com containeranalysis.googleapis.com cloudkms.googleapis.com
gcloud services enable --project="$ASSESSMENT_PROJECT" binaryauthorization.googleapis.com

# Google's own accounts that look attestations up, of each project whose images are held to the policy.
agents=()
for project in "$ADMIN_PROJECT" "$ASSESSMENT_PROJECT"; do
    gcloud beta services identity create --service=binaryauthorization.googleapis.com --project="$project" --quiet
    number="$(gcloud projects describe "$project" --format='value(projectNumber)')"
    agents+=("serviceAccount:service-$number@gcp-sa-binaryauthorization.iam.gserviceaccount.com")
done

# The key never leaves Google's Key Management; whoever may sign with it asks there.
gcloud kms keyrings describe roar --location="$REGION" --project="$ADMIN_PROJECT" >/dev/null 2>&1 ||
    gcloud kms keyrings create roar --location="$REGION" --project="$ADMIN_PROJECT"
gcloud kms keys describe attestor --keyring=roar --location="$REGION" --project="$ADMIN_PROJECT" >/dev/null 2>&1 ||
    gcloud kms keys create attestor --keyring=roar --location="$REGION" --project="$ADMIN_PROJECT" \
        --purpose=asymmetric-signing --default-algorithm=ec-sign-p256-sha256 --protection-level=software
key="projects/$ADMIN_PROJECT/locations/$REGION/keyRings/roar/cryptoKeys/attestor/cryptoKeyVersions/1"

# Attestations hang on a note; the attestor says whose signatures on it count.
token="$(gcloud auth print-access-token)"
printf 'Authorization: Bearer %s\nContent-Type: application/json\n' "$token" >"$work/headers"
ask GET "$notes/roar"
if [[ "$status" == 404 ]]; then
    asked POST "$notes?noteId=roar" --data '{"attestation": {"hint": {"humanReadableName": "Built and deployed by the workflow of ROAR functions"}}}'
elif [[ "$status" != 200 ]]; then
    fail "GET $notes/roar: HTTP $status"
fi
gcloud container binauthz attestors describe roar --project="$ADMIN_PROJECT" >/dev/null 2>&1 ||
    gcloud container binauthz attestors create roar --project="$ADMIN_PROJECT" \
        --attestation-authority-note=roar --attestation-authority-note-project="$ADMIN_PROJECT"
keys="$(gcloud container binauthz attestors describe roar --project="$ADMIN_PROJECT" --format='value(userOwnedGrafeasNote.publicKeys.id)')"
if [[ "$keys" != *"$key"* ]]; then
    gcloud container binauthz attestors public-keys add --attestor=roar --project="$ADMIN_PROJECT" --keyversion="$key"
fi

# The deployer signs, and hangs what it signed on this note: for that it may make occurrences, but change none.
gcloud kms keys add-iam-policy-binding attestor --keyring=roar --location="$REGION" --project="$ADMIN_PROJECT" \
    --role=roles/cloudkms.signerVerifier --member="$deployer" --quiet
gcloud container binauthz attestors add-iam-policy-binding roar --project="$ADMIN_PROJECT" \
    --role=roles/binaryauthorization.attestorsVerifier --member="$deployer" --quiet
verb=create
if gcloud iam roles describe roarAttestations --project="$ADMIN_PROJECT" >/dev/null 2>&1; then verb=update; fi
gcloud iam roles "$verb" roarAttestations --project="$ADMIN_PROJECT" --title="ROAR functions: attestations" \
    --description="Makes attestations of images" --stage=GA --quiet \
    --permissions=containeranalysis.occurrences.create,containeranalysis.occurrences.get,containeranalysis.occurrences.list
gcloud projects add-iam-policy-binding "$ADMIN_PROJECT" --role="projects/$ADMIN_PROJECT/roles/roarAttestations" \
    --condition=None --quiet --member="$deployer"
for agent in "${agents[@]}"; do
    gcloud container binauthz attestors add-iam-policy-binding roar --project="$ADMIN_PROJECT" \
        --role=roles/binaryauthorization.attestorsVerifier --member="$agent" --quiet
done
# Who may hang something on the note, and who may see what hangs there. With the policy comes its etag.
asked POST "$notes/roar:getIamPolicy" --data '{}'
# shellcheck disable=SC2016
jq --arg deployer "$deployer" '
    def bound($role; $members): (map(select(.role == $role)) | first // {role: $role, members: []}) as $there
        | map(select(.role != $role)) + [$there | .members |= (. + $members | unique)];
    {policy: (.bindings = (.bindings // []
        | bound("roles/containeranalysis.notes.attacher"; [$deployer])
        | bound("roles/containeranalysis.notes.occurrences.viewer"; $ARGS.positional)))}' \
    "$work/answer" --args "${agents[@]}" >"$work/policy"
asked POST "$notes/roar:setIamPolicy" --data-binary @"$work/policy"

# What each project lets run.
mode=DRYRUN_AUDIT_LOG_ONLY
if [[ -n "${ENFORCE:-}" ]]; then mode=ENFORCED_BLOCK_AND_AUDIT_LOG; fi
for project in "$ADMIN_PROJECT" "$ASSESSMENT_PROJECT"; do
    gcloud container binauthz policy export --project="$project" --format=json >"$work/before"
    [[ "$(jq --raw-output .defaultAdmissionRule.evaluationMode "$work/before")" != ALWAYS_DENY ]] ||
        fail "$project lets no image run: change that by hand first"
    # shellcheck disable=SC2016
    jq --arg attestor "$attestor" --arg mode "$mode" --arg exempt "${EXEMPT:-}" '
        (.defaultAdmissionRule | .evaluationMode == "REQUIRE_ATTESTATION" and .enforcementMode == "ENFORCED_BLOCK_AND_AUDIT_LOG") as $enforced
        | .defaultAdmissionRule |= {
            evaluationMode: "REQUIRE_ATTESTATION",
            enforcementMode: (if $enforced then .enforcementMode else $mode end),
            requireAttestationsBy: ((.requireAttestationsBy // []) + [$attestor] | unique)}
        | if $exempt == "" then . else
            .admissionWhitelistPatterns = ((.admissionWhitelistPatterns // []) + [{namePattern: $exempt}] | unique) end' \
        "$work/before" >"$work/after.json"
    if ! cmp --silent <(jq --sort-keys . "$work/before") <(jq --sort-keys . "$work/after.json"); then
        gcloud container binauthz policy import "$work/after.json" --project="$project" --quiet
    fi
done

# What the workflow reads, in the repository's settings: Secrets and variables, Actions, Variables.
echo "ATTESTOR_KEY=$key"

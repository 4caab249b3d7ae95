#!/usr/bin/env bash
# Lets the workflows of one GitHub repository do their work without a key: GitHub says whose run it is, Google believes it
# for this repository, its main branch and one environment only. In "production" images are brought to Cloud Run; in
# "watch" rules and indexes are read, and compared. Run again, it changes nothing, except that conditions and the watcher's
# role are set anew. After deploy/accounts.sh in both projects, and after the service is there.
# ADMIN_PROJECT, ASSESSMENT_PROJECT, REGION: as in deploy/README.md. REPOSITORY: owner/name at GitHub. REPOSITORY_ID: its
# number there, which stays with it when names change hands (gh api repos/OWNER/NAME --jq .id).
set -euo pipefail
: "${ADMIN_PROJECT:?}" "${ASSESSMENT_PROJECT:?}" "${REGION:?}" "${REPOSITORY:?}" "${REPOSITORY_ID:?}"

gcloud services enable --project="$ADMIN_PROJECT" iam.googleapis.com iamcredentials.googleapis.com sts.googleapis.com

deployer="roar-deployer@$ADMIN_PROJECT.iam.gserviceaccount.com"
gcloud iam service-accounts describe "roar-deployer@$ADMIN_PROJECT.iam.gserviceaccount.com" --project="$ADMIN_PROJECT" >/dev/null 2>&1 ||
    gcloud iam service-accounts create roar-deployer --project="$ADMIN_PROJECT" --display-name="Deploys ROAR functions"

# A pool for each environment, because accounts are bound to a repository of a pool: who may watch can't deploy.
# pool POOL NAME PROVIDER ENVIRONMENT
pool() {
    gcloud iam workload-identity-pools describe "$1" --location=global --project="$ADMIN_PROJECT" >/dev/null 2>&1 ||
        gcloud iam workload-identity-pools create "$1" --location=global --project="$ADMIN_PROJECT" --display-name="$2"
    local condition="assertion.repository_id == '$REPOSITORY_ID' && assertion.ref == 'refs/heads/main' && assertion.environment == '$4'"
    if gcloud iam workload-identity-pools providers describe "$3" --workload-identity-pool="$1" --location=global \
        --project="$ADMIN_PROJECT" >/dev/null 2>&1; then
        gcloud iam workload-identity-pools providers update-oidc "$3" --workload-identity-pool="$1" --location=global \
            --project="$ADMIN_PROJECT" --attribute-condition="$condition" \
            --attribute-mapping=google.subject=assertion.sub,attribute.repository_id=assertion.repository_id
    else
        gcloud iam workload-identity-pools providers create-oidc "$3" --workload-identity-pool="$1" --location=global \
            --project="$ADMIN_PROJECT" --issuer-uri=https://token.actions.githubusercontent.com \
            --attribute-condition="$condition" \
            --attribute-mapping=google.subject=assertion.sub,attribute.repository_id=assertion.repository_id
    fi
}
pool github GitHub deploy production
pool github-watch "GitHub, to watch" watch watch

number="$(gcloud projects describe "$ADMIN_PROJECT" --format='value(projectNumber)')"
pools="projects/$number/locations/global/workloadIdentityPools"
gcloud iam service-accounts add-iam-policy-binding "$deployer" --project="$ADMIN_PROJECT" \
    --role=roles/iam.workloadIdentityUser --quiet \
    --member="principalSet://iam.googleapis.com/$pools/github/attribute.repository_id/$REPOSITORY_ID"

# It pushes images, and makes revisions of this one service that run as roar-functions. It can't change who calls it.
gcloud artifacts repositories add-iam-policy-binding roar --location="$REGION" --project="$ADMIN_PROJECT" \
    --role=roles/artifactregistry.writer --quiet --member="serviceAccount:$deployer"
for project in "$ADMIN_PROJECT" "$ASSESSMENT_PROJECT"; do
    gcloud run services add-iam-policy-binding roar-functions --region="$REGION" --project="$project" \
        --role=roles/run.developer --quiet --member="serviceAccount:$deployer"
    gcloud iam service-accounts add-iam-policy-binding "roar-functions@$project.iam.gserviceaccount.com" \
        --project="$project" --role=roles/iam.serviceAccountUser --quiet --member="serviceAccount:$deployer"
done

# It reads the rules and indexes of both projects, with their quotas, and nothing that is in the databases.
watcher="roar-watcher@$ADMIN_PROJECT.iam.gserviceaccount.com"
gcloud iam service-accounts describe "roar-watcher@$ADMIN_PROJECT.iam.gserviceaccount.com" --project="$ADMIN_PROJECT" >/dev/null 2>&1 ||
    gcloud iam service-accounts create roar-watcher --project="$ADMIN_PROJECT" --display-name="Compares rules of ROAR functions"
gcloud iam service-accounts add-iam-policy-binding "$watcher" --project="$ADMIN_PROJECT" \
    --role=roles/iam.workloadIdentityUser --quiet \
    --member="principalSet://iam.googleapis.com/$pools/github-watch/attribute.repository_id/$REPOSITORY_ID"
for project in "$ADMIN_PROJECT" "$ASSESSMENT_PROJECT"; do
    verb=create
    if gcloud iam roles describe roarRulesReader --project="$project" >/dev/null 2>&1; then verb=update; fi
    gcloud iam roles "$verb" roarRulesReader --project="$project" --title="ROAR functions: rules" \
        --description="Reads released rules, indexes and TTL policies" --stage=GA --quiet \
        --permissions=firebaserules.releases.get,firebaserules.rulesets.get,datastore.indexes.get,datastore.indexes.list,serviceusage.services.use
    gcloud projects add-iam-policy-binding "$project" --role="projects/$project/roles/roarRulesReader" --condition=None --quiet \
        --member="serviceAccount:$watcher"
done

# What the workflows read, in the repository's settings: Secrets and variables, Actions, Variables.
cat <<END
ADMIN_PROJECT=$ADMIN_PROJECT
ASSESSMENT_PROJECT=$ASSESSMENT_PROJECT
REGION=$REGION
DEPLOYER=$deployer
WORKLOAD_IDENTITY_PROVIDER=$pools/github/providers/deploy
WATCHER=$watcher
WATCH_IDENTITY_PROVIDER=$pools/github-watch/providers/watch
END
echo "In $REPOSITORY's settings, make the environment \"production\", for the branch main, and say who approves." >&2
echo "Make \"watch\" too, for the branch main; nobody need approve it." >&2

#!/usr/bin/env bash
# Lets the deploy workflow of one GitHub repository bring images to Cloud Run, without a key: GitHub says whose run it
# is, Google believes it for this repository, its main branch and the environment "production" only. Run again, it
# changes nothing, except that the provider's condition is set anew. After deploy/accounts.sh in both projects, and after
# the service is there.
# ADMIN_PROJECT, ASSESSMENT_PROJECT, REGION: as in deploy/README.md. REPOSITORY: owner/name at GitHub. REPOSITORY_ID: its
# number there, which stays with it when names change hands (gh api repos/OWNER/NAME --jq .id).
set -euo pipefail
: "${ADMIN_PROJECT:?}" "${ASSESSMENT_PROJECT:?}" "${REGION:?}" "${REPOSITORY:?}" "${REPOSITORY_ID:?}"

gcloud services enable --project="$ADMIN_PROJECT" iam.googleapis.com iamcredentials.googleapis.com sts.googleapis.com

deployer="roar-deployer@$ADMIN_PROJECT.iam.gserviceaccount.com"
gcloud iam service-accounts describe "roar-deployer@$ADMIN_PROJECT.iam.gserviceaccount.com" --project="$ADMIN_PROJECT" >/dev/null 2>&1 ||
    gcloud iam service-accounts create roar-deployer --project="$ADMIN_PROJECT" --display-name="Deploys ROAR functions"

gcloud iam workload-identity-pools describe github --location=global --project="$ADMIN_PROJECT" >/dev/null 2>&1 ||
    gcloud iam workload-identity-pools create github --location=global --project="$ADMIN_PROJECT" --display-name=GitHub
condition="assertion.repository_id == '$REPOSITORY_ID' && assertion.ref == 'refs/heads/main' && assertion.environment == 'production'"
if gcloud iam workload-identity-pools providers describe deploy --workload-identity-pool=github --location=global \
    --project="$ADMIN_PROJECT" >/dev/null 2>&1; then
    gcloud iam workload-identity-pools providers update-oidc deploy --workload-identity-pool=github --location=global \
        --project="$ADMIN_PROJECT" --attribute-condition="$condition" \
        --attribute-mapping=google.subject=assertion.sub,attribute.repository_id=assertion.repository_id
else
    gcloud iam workload-identity-pools providers create-oidc deploy --workload-identity-pool=github --location=global \
        --project="$ADMIN_PROJECT" --issuer-uri=https://token.actions.githubusercontent.com \
        --attribute-condition="$condition" \
        --attribute-mapping=google.subject=assertion.sub,attribute.repository_id=assertion.repository_id
fi

number="$(gcloud projects describe "$ADMIN_PROJECT" --format='value(projectNumber)')"
pool="projects/$number/locations/global/workloadIdentityPools/github"
gcloud iam service-accounts add-iam-policy-binding "$deployer" --project="$ADMIN_PROJECT" \
    --role=roles/iam.workloadIdentityUser --quiet \
    --member="principalSet://iam.googleapis.com/$pool/attribute.repository_id/$REPOSITORY_ID"

# It pushes images, and makes revisions of this one service that run as roar-functions. It can't change who calls it.
gcloud artifacts repositories add-iam-policy-binding roar --location="$REGION" --project="$ADMIN_PROJECT" \
    --role=roles/artifactregistry.writer --quiet --member="serviceAccount:$deployer"
for project in "$ADMIN_PROJECT" "$ASSESSMENT_PROJECT"; do
    gcloud run services add-iam-policy-binding roar-functions --region="$REGION" --project="$project" \
        --role=roles/run.developer --quiet --member="serviceAccount:$deployer"
    gcloud iam service-accounts add-iam-policy-binding "roar-functions@$project.iam.gserviceaccount.com" \
        --project="$project" --role=roles/iam.serviceAccountUser --quiet --member="serviceAccount:$deployer"
done

# What the workflow reads, in the repository's settings: Secrets and variables, Actions, Variables.
cat <<END
ADMIN_PROJECT=$ADMIN_PROJECT
ASSESSMENT_PROJECT=$ASSESSMENT_PROJECT
REGION=$REGION
DEPLOYER=$deployer
WORKLOAD_IDENTITY_PROVIDER=$pool/providers/deploy
END
echo "In $REPOSITORY's settings, make the environment \"production\", for the branch main, and say who approves." >&2

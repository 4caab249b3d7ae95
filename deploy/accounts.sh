#!/usr/bin/env bash
# What a project must have: Google's services, accounts with the least rights, the registry of images. Run again, it
# changes nothing. PROJECT (of the service), ADMIN_PROJECT, ASSESSMENT_PROJECT, REGION: as in deploy/README.md.
set -euo pipefail
: "${PROJECT:?}" "${ADMIN_PROJECT:?}" "${ASSESSMENT_PROJECT:?}" "${REGION:?}"

# Of the service's project. (Eventarc delivers by Pub/Sub.)
gcloud services enable --project="$PROJECT" \
    run.googleapis.com eventarc.googleapis.com eventarcpublishing.googleapis.com pubsub.googleapis.com \
    cloudtasks.googleapis.com artifactregistry.googleapis.com secretmanager.googleapis.com iam.googleapis.com \
    iamcredentials.googleapis.com cloudresourcemanager.googleapis.com logging.googleapis.com monitoring.googleapis.com
# Of the databases' projects.
for project in "$ADMIN_PROJECT" "$ASSESSMENT_PROJECT"; do
    gcloud services enable --project="$project" firestore.googleapis.com identitytoolkit.googleapis.com
done

account() {
    gcloud iam service-accounts describe "$1@$PROJECT.iam.gserviceaccount.com" --project="$PROJECT" >/dev/null 2>&1 ||
        gcloud iam service-accounts create "$1" --project="$PROJECT" --display-name="$2"
}

account roar-functions "ROAR functions"
account roar-events "Delivers document events to ROAR functions"
account roar-tasks "Delivers tasks to ROAR functions"

# The service reads and writes documents and accounts of both projects.
for project in "$ADMIN_PROJECT" "$ASSESSMENT_PROJECT"; do
    for role in roles/datastore.user roles/firebaseauth.admin; do
        gcloud projects add-iam-policy-binding "$project" --role="$role" --condition=None --quiet \
            --member="serviceAccount:roar-functions@$PROJECT.iam.gserviceaccount.com"
    done
done
# It hands in tasks, which call back as roar-tasks.
gcloud projects add-iam-policy-binding "$PROJECT" --role=roles/cloudtasks.enqueuer --condition=None --quiet \
    --member="serviceAccount:roar-functions@$PROJECT.iam.gserviceaccount.com"
gcloud iam service-accounts add-iam-policy-binding "roar-tasks@$PROJECT.iam.gserviceaccount.com" \
    --project="$PROJECT" --role=roles/iam.serviceAccountUser \
    --member="serviceAccount:roar-functions@$PROJECT.iam.gserviceaccount.com"
# Eventarc delivers as roar-events.
gcloud projects add-iam-policy-binding "$PROJECT" --role=roles/eventarc.eventReceiver --condition=None --quiet \
    --member="serviceAccount:roar-events@$PROJECT.iam.gserviceaccount.com"

# Google makes its own account for Eventarc with the first trigger, which then fails for some minutes; so make it now.
number="$(gcloud projects describe "$PROJECT" --format='value(projectNumber)')"
gcloud beta services identity create --service=eventarc.googleapis.com --project="$PROJECT" --quiet
gcloud projects add-iam-policy-binding "$PROJECT" --role=roles/eventarc.serviceAgent --condition=None --quiet \
    --member="serviceAccount:service-$number@gcp-sa-eventarc.iam.gserviceaccount.com"
# Pub/Sub signs what it delivers as roar-events. (Its account may do so anyway, unless it's from before April 2021.)
gcloud beta services identity create --service=pubsub.googleapis.com --project="$PROJECT" --quiet
gcloud iam service-accounts add-iam-policy-binding "roar-events@$PROJECT.iam.gserviceaccount.com" \
    --project="$PROJECT" --role=roles/iam.serviceAccountOpenIdTokenCreator --quiet \
    --member="serviceAccount:service-$number@gcp-sa-pubsub.iam.gserviceaccount.com"

# One registry, in the admin project. Cloud Run in the other one may read it.
gcloud artifacts repositories describe roar --location="$REGION" --project="$ADMIN_PROJECT" >/dev/null 2>&1 ||
    gcloud artifacts repositories create roar --repository-format=docker --location="$REGION" --project="$ADMIN_PROJECT" \
        --description="Images of ROAR functions"
if [[ "$PROJECT" != "$ADMIN_PROJECT" ]]; then
    gcloud beta services identity create --service=run.googleapis.com --project="$PROJECT" --quiet
    gcloud artifacts repositories add-iam-policy-binding roar --location="$REGION" --project="$ADMIN_PROJECT" \
        --role=roles/artifactregistry.reader --quiet \
        --member="serviceAccount:service-$number@serverless-robot-prod.iam.gserviceaccount.com"
fi

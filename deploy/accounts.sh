#!/usr/bin/env bash
# Who the service is, and who may call it, with the least rights. Run again, it changes nothing.
# PROJECT (of the service), ADMIN_PROJECT, ASSESSMENT_PROJECT, REGION: as in deploy/README.md.
set -euo pipefail
: "${PROJECT:?}" "${ADMIN_PROJECT:?}" "${ASSESSMENT_PROJECT:?}" "${REGION:?}"

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

#!/usr/bin/env bash
# What a project must have: Google's services, accounts with the least rights, the registry of images. Run again, it
# changes nothing, except that the role of the service is set anew. PROJECT (of the service), ADMIN_PROJECT, ASSESSMENT_PROJECT, REGION: as in deploy/README.md.
set -euo pipefail
: "${PROJECT:?}" "${ADMIN_PROJECT:?}" "${ASSESSMENT_PROJECT:?}" "${REGION:?}"

# Of the service's project. (Eventarc delivers by Pub/Sub.)
gcloud services enable --project="$PROJECT" \
    run.googleapis.com eventarc.googleapis.com eventarcpublishing.googleapis.com pubsub.googleapis.com \
    cloudtasks.googleapis.com artifactregistry.googleapis.com secretmanager.googleapis.com iam.googleapis.com \
    iamcredentials.googleapis.com cloudresourcemanager.googleapis.com logging.googleapis.com monitoring.googleapis.com \
    binaryauthorization.googleapis.com
# Of the databases' projects.
for project in "$ADMIN_PROJECT" "$ASSESSMENT_PROJECT"; do
    gcloud services enable --project="$project" firestore.googleapis.com identitytoolkit.googleapis.com firebaserules.googleapis.com
done

account() {
    gcloud iam service-accounts describe "$1@$PROJECT.iam.gserviceaccount.com" --project="$PROJECT" >/dev/null 2>&1 ||
        gcloud iam service-accounts create "$1" --project="$PROJECT" --display-name="$2"
}

account roar-functions "ROAR functions"
account roar-events "Delivers document events to ROAR functions"
account roar-tasks "Delivers tasks to ROAR functions"

# What the service asks of Firebase Authentication (crates/auth-accounts/src/identity_toolkit), and no more: it looks accounts up,
# creates, changes and deletes them; claims, passwords, suspension and links are changes. roles/firebaseauth.admin would
# also give it the project's settings for sign-in, with the secrets of its providers and the parameters of password hashes,
# e-mail in the project's name, and sessions as anybody.
accounts=firebaseauth.users.create,firebaseauth.users.delete,firebaseauth.users.get,firebaseauth.users.update
role_of_accounts() {
    local verb=create
    if gcloud iam roles describe roarAccounts --project="$1" >/dev/null 2>&1; then verb=update; fi
    gcloud iam roles "$verb" roarAccounts --project="$1" --title="ROAR functions: accounts" \
        --description="Looks up, creates, changes and deletes accounts of Firebase Authentication" \
        --permissions="$accounts" --stage=GA --quiet
}

# Of a project, somebody's role goes away, if it's there.
unbind() {
    local bound
    bound="$(gcloud projects get-iam-policy "$1" --flatten='bindings[].members' --format='value(bindings.role)' \
        --filter="bindings.role='$2' AND bindings.members='$3'")"
    if [[ -n "$bound" ]]; then
        gcloud projects remove-iam-policy-binding "$1" --role="$2" --member="$3" --condition=None --quiet
    fi
}

# The service, in either project, reads and writes documents and accounts of both: tasks of both are in the admin
# database, and what they do reaches into the other one. roles/datastore.user is documents, transactions and queries, and
# the names of databases and indexes; it changes neither indexes nor databases, and exports nothing.
service="serviceAccount:roar-functions@$PROJECT.iam.gserviceaccount.com"
for project in "$ADMIN_PROJECT" "$ASSESSMENT_PROJECT"; do
    role_of_accounts "$project"
    for role in roles/datastore.user "projects/$project/roles/roarAccounts"; do
        gcloud projects add-iam-policy-binding "$project" --role="$role" --condition=None --quiet --member="$service"
    done
    # As earlier versions of this script had it.
    unbind "$project" roles/firebaseauth.admin "$service"
done
# It hands in tasks, which call back as roar-tasks: for that it may act as this one account, which may do nothing but
# call the service. The queues are the project's only ones.
gcloud projects add-iam-policy-binding "$PROJECT" --role=roles/cloudtasks.enqueuer --condition=None --quiet \
    --member="$service"
gcloud iam service-accounts add-iam-policy-binding "roar-tasks@$PROJECT.iam.gserviceaccount.com" \
    --project="$PROJECT" --role=roles/iam.serviceAccountUser --member="$service" --quiet
# Eventarc delivers as roar-events, which receives events and calls the service.
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

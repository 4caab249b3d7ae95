#!/usr/bin/env bash
# Made from src/functions.rs: UPDATE_DEPLOY=1 cargo test --test deploy
set -euo pipefail
: "${PROJECT:?}" "${REGION:?}"

verb=create
gcloud tasks queues describe followUsersAfterSync --project="$PROJECT" --location="$REGION" >/dev/null 2>&1 && verb=update
gcloud tasks queues "$verb" followUsersAfterSync \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

verb=create
gcloud tasks queues describe planAdministrationSync --project="$PROJECT" --location="$REGION" >/dev/null 2>&1 && verb=update
gcloud tasks queues "$verb" planAdministrationSync \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

verb=create
gcloud tasks queues describe syncAdministrationChunk --project="$PROJECT" --location="$REGION" >/dev/null 2>&1 && verb=update
gcloud tasks queues "$verb" syncAdministrationChunk \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

verb=create
gcloud tasks queues describe sweepAdministration --project="$PROJECT" --location="$REGION" >/dev/null 2>&1 && verb=update
gcloud tasks queues "$verb" sweepAdministration \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

verb=create
gcloud tasks queues describe followOrg --project="$PROJECT" --location="$REGION" >/dev/null 2>&1 && verb=update
gcloud tasks queues "$verb" followOrg \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

verb=create
gcloud tasks queues describe moveOrgMembers --project="$PROJECT" --location="$REGION" >/dev/null 2>&1 && verb=update
gcloud tasks queues "$verb" moveOrgMembers \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

verb=create
gcloud tasks queues describe removeAdministration --project="$PROJECT" --location="$REGION" >/dev/null 2>&1 && verb=update
gcloud tasks queues "$verb" removeAdministration \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

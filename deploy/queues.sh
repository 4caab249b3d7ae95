#!/usr/bin/env bash
# Made from src/functions.rs: UPDATE_DEPLOY=1 cargo test --test deploy
set -euo pipefail
: "${PROJECT:?}" "${REGION:?}"

gcloud tasks queues create followUsersAfterSync \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

gcloud tasks queues create planAdministrationSync \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

gcloud tasks queues create syncAdministrationChunk \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

gcloud tasks queues create sweepAdministration \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

gcloud tasks queues create removeAdministration \
  --project="$PROJECT" --location="$REGION" \
  --max-concurrent-dispatches=20 \
  --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6

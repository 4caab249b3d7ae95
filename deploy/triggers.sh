#!/usr/bin/env bash
# Made from src/functions.rs: UPDATE_DEPLOY=1 cargo test --test deploy
set -euo pipefail
: "${ADMIN_PROJECT:?}" "${ASSESSMENT_PROJECT:?}" "${LOCATION:?}" "${SERVICE:?}" "${SERVICE_REGION:?}" "${SERVICE_ACCOUNT:?}"

verb=create
gcloud eventarc triggers describe mirrorcustomclaims --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" mirrorcustomclaims \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/mirrorCustomClaims \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=userClaims/{targetUid}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe syncclaimsonrosterupdate --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" syncclaimsonrosterupdate \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/syncClaimsOnRosterUpdate \
  --event-filters=type=google.cloud.firestore.document.v1.updated \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=identityProviderIds/{entryId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe removedistrictfromclaims --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" removedistrictfromclaims \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/removeDistrictFromClaims \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=districts/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe removeschoolfromclaims --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" removeschoolfromclaims \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/removeSchoolFromClaims \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=schools/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe removeclassfromclaims --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" removeclassfromclaims \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/removeClassFromClaims \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=classes/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe removegroupfromclaims --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" removegroupfromclaims \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/removeGroupFromClaims \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=groups/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe removefamilyfromclaims --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" removefamilyfromclaims \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/removeFamilyFromClaims \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=families/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe syncassignmentsonadministrationupdate --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" syncassignmentsonadministrationupdate \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/syncAssignmentsOnAdministrationUpdate \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=administrations/{administrationId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe syncassignmentcreated --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" syncassignmentcreated \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/syncAssignmentCreated \
  --event-filters=type=google.cloud.firestore.document.v1.created \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=users/{roarUid}/assignments/{assignmentUid}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe syncassignmentupdated --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" syncassignmentupdated \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/syncAssignmentUpdated \
  --event-filters=type=google.cloud.firestore.document.v1.updated \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=users/{roarUid}/assignments/{assignmentUid}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe syncassignmentdeleted --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" syncassignmentdeleted \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/syncAssignmentDeleted \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=users/{roarUid}/assignments/{assignmentUid}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe syncassignmentsonuserupdate --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" syncassignmentsonuserupdate \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/syncAssignmentsOnUserUpdate \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=users/{roarUid}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe synconrundocupdate --project="$ASSESSMENT_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" synconrundocupdate \
  --project="$ASSESSMENT_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/syncOnRunDocUpdate \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=users/{roarUid}/runs/{runId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ASSESSMENT_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe synchierarchyonschoolupdate --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" synchierarchyonschoolupdate \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/syncHierarchyOnSchoolUpdate \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=schools/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe synchierarchyonclassupdate --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" synchierarchyonclassupdate \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/syncHierarchyOnClassUpdate \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=classes/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe synchierarchyongroupupdate --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" synchierarchyongroupupdate \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/syncHierarchyOnGroupUpdate \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=groups/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe mirrordistricts --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" mirrordistricts \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/mirrorDistricts \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=districts/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe mirrorschools --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" mirrorschools \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/mirrorSchools \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=schools/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe mirrorclasses --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" mirrorclasses \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/mirrorClasses \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=classes/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe mirrorgroups --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" mirrorgroups \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/mirrorGroups \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=groups/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe mirrorfamilies --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" mirrorfamilies \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/mirrorFamilies \
  --event-filters=type=google.cloud.firestore.document.v1.written \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=families/{documentId}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe softdeleteuser --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" softdeleteuser \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/softDeleteUser \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=users/{doc0}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe softdeleteuserassignment --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" softdeleteuserassignment \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/softDeleteUserAssignment \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=users/{doc0}/assignments/{doc1}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe softdeleteuserexternaldata --project="$ADMIN_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" softdeleteuserexternaldata \
  --project="$ADMIN_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/softDeleteUserExternalData \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=users/{doc0}/externalData/{doc1}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ADMIN_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe softdeleteassessmentuser --project="$ASSESSMENT_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" softdeleteassessmentuser \
  --project="$ASSESSMENT_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/softDeleteAssessmentUser \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=users/{doc0}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ASSESSMENT_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe softdeleteuserrun --project="$ASSESSMENT_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" softdeleteuserrun \
  --project="$ASSESSMENT_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/softDeleteUserRun \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=users/{doc0}/runs/{doc1}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ASSESSMENT_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe softdeleteusertrial --project="$ASSESSMENT_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" softdeleteusertrial \
  --project="$ASSESSMENT_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/softDeleteUserTrial \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=users/{doc0}/runs/{doc1}/trials/{doc2}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ASSESSMENT_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe softdeleteguest --project="$ASSESSMENT_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" softdeleteguest \
  --project="$ASSESSMENT_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/softDeleteGuest \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=guests/{doc0}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ASSESSMENT_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe softdeleteguestrun --project="$ASSESSMENT_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" softdeleteguestrun \
  --project="$ASSESSMENT_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/softDeleteGuestRun \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=guests/{doc0}/runs/{doc1}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ASSESSMENT_PROJECT".iam.gserviceaccount.com

verb=create
gcloud eventarc triggers describe softdeleteguesttrial --project="$ASSESSMENT_PROJECT" --location="$LOCATION" >/dev/null 2>&1 && verb=update
gcloud eventarc triggers "$verb" softdeleteguesttrial \
  --project="$ASSESSMENT_PROJECT" --location="$LOCATION" \
  --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
  --destination-run-path=/events/softDeleteGuestTrial \
  --event-filters=type=google.cloud.firestore.document.v1.deleted \
  --event-filters='database=(default)' \
  --event-filters-path-pattern='document=guests/{doc0}/runs/{doc1}/trials/{doc2}' \
  --event-data-content-type=application/protobuf \
  --service-account="$SERVICE_ACCOUNT"@"$ASSESSMENT_PROJECT".iam.gserviceaccount.com

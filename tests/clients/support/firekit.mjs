// The dashboard's client library, as published, in Node. It asks for nothing of a browser: password
// sign-in, Firestore and callables work as they are.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { FieldValue } from 'firebase-admin/firestore';

import { eventually } from './processes.mjs';
import { ADMIN_PROJECT, ASSESSMENT_PROJECT, repository } from './projects.mjs';
import { PASSWORD } from './sdk.mjs';
import { secret } from './secrets.mjs';
import { emailOf, ORG_TYPES, STUDENTS } from './seed.mjs';

const require = createRequire(import.meta.url);
const { RoarFirekit } = require('@bdelab/roar-firekit');
const { BUCKET_URLS } = require('@bdelab/roar-firekit/lib/constants/bucket-urls.js');

// The library has a Firebase SDK of its own.
const requireAsIt = createRequire(require.resolve('@bdelab/roar-firekit'));
const { deleteApp, getApps } = requireAsIt('firebase/app');
const { signOut } = requireAsIt('firebase/auth');
const { setLogLevel, terminate } = requireAsIt('firebase/firestore');

setLogLevel('silent');

// A task that begins looks up the bucket of its recordings by project, and the library knows those of
// ROAR's own projects only; without one no task begins. Nothing is ever uploaded to this one.
BUCKET_URLS.demoRoarAssessment = 'gs://demo-roar-assessment-recordings';

/**
 * Signs a person in, as the dashboard's sign-in page does. One at a time: the library's apps have fixed
 * names. `close` is what closing the page is.
 */
export async function openFirekit(suite, functionsPort, email) {
  const project = (projectId) => ({
    projectId,
    apiKey: 'none-is-needed',
    emulatorPorts: { db: suite.firestorePort, auth: suite.authPorts[projectId], functions: functionsPort },
  });
  const firekit = new RoarFirekit({
    roarConfig: { admin: project(ADMIN_PROJECT), app: project(ASSESSMENT_PROJECT) },
  });
  const close = async () => {
    const projects = [firekit.admin, firekit.app].filter(Boolean);
    // Firestore first. When somebody signs out, the library goes on listening to their claims, and throws
    // what the rules then answer where nobody can catch it.
    await Promise.all(projects.map(({ db }) => terminate(db)));
    await Promise.all(projects.map(({ auth }) => signOut(auth)));
    await Promise.all(getApps().map((app) => deleteApp(app)));
  };
  try {
    await firekit.init();
    await firekit.logInWithEmailAndPassword({ email, password: PASSWORD });
    await eventually('the library knows who signed in', () => {
      if (!firekit.roarUid || !firekit.idTokens.admin || !firekit.idTokens.app) throw new Error('It does not yet.');
      secret(PASSWORD, firekit.idTokens.admin, firekit.idTokens.app);
    });
  } catch (error) {
    await close();
    throw error;
  }
  return { firekit, close };
}

/** The emulator begins with the admin database's rules for all projects. */
export async function loadAssessmentRules(suite) {
  const content = await readFile(join(repository, 'firestore.assessment.rules'), 'utf8');
  const response = await fetch(
    `http://127.0.0.1:${suite.firestorePort}/emulator/v1/projects/${ASSESSMENT_PROJECT}:securityRules`,
    { method: 'PUT', body: JSON.stringify({ rules: { files: [{ name: 'assessment.rules', content }] } }) },
  );
  if (!response.ok) throw new Error(`The emulator refuses the rules: ${await response.text()}`);
}

/**
 * The assessment database: the students without their names, and tasks; and the people's accounts there.
 * Students, too, have claims: the library doesn't learn its user without (`User claims document does not exist.`).
 */
export async function seedAssessment(sdks, assessments, people) {
  const { db } = sdks.assessment;
  const writer = db.bulkWriter();
  for (const [id, user] of STUDENTS) {
    const { userType, assessmentPid, assessmentUid, studentData, archived } = user;
    const orgs = Object.fromEntries(ORG_TYPES.map((type) => [type, user[type]]));
    const born = studentData.dob.toDate();
    writer.set(db.doc(`users/${id}`), {
      userType, assessmentPid, assessmentUid, archived, ...orgs,
      grade: studentData.grade, birthMonth: born.getUTCMonth() + 1, birthYear: born.getUTCFullYear(),
    });
  }
  for (const { taskId, variantId, variantName, params } of assessments) {
    const lastUpdated = FieldValue.serverTimestamp();
    writer.set(db.doc(`tasks/${taskId}`), { name: taskId, description: taskId, registered: true, lastUpdated });
    writer.set(db.doc(`tasks/${taskId}/variants/${variantId}`), { name: variantName, params, registered: true, lastUpdated });
  }
  await writer.close();
  for (const id of people) {
    const uids = { roarUid: id, adminUid: `uid-${id}`, assessmentUid: `assessment-${id}` };
    await sdks.createAssessmentAccount({ uid: uids.assessmentUid, adminUid: uids.adminUid, email: emailOf(id) });
    if (STUDENTS.has(id)) await sdks.db.doc(`userClaims/${uids.adminUid}`).set({ claims: uids, lastUpdated: Date.now() });
  }
}

/**
 * What the page of a student asks for: assignments that aren't closed, over REST with the library's token.
 * Only the fields that the page names; by administration.
 */
export async function readOwnAssignments(suite, firekit) {
  const { admin } = firekit.restConfig();
  const path = new URL(admin.baseURL).pathname;
  const where = (field, op, value) => ({ fieldFilter: { field: { fieldPath: field }, op, value } });
  const fields = [
    'assessments', 'assigningOrgs', 'completed', 'dateAssigned', 'dateClosed', 'dateOpened', 'id', 'legal', 'name',
    'publicName', 'readOrgs', 'sequential', 'started', 'compositeScore',
  ];
  const response = await fetch(`http://127.0.0.1:${suite.firestorePort}${path}/users/${firekit.roarUid}:runQuery`, {
    method: 'POST',
    headers: { ...admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify({
      structuredQuery: {
        from: [{ collectionId: 'assignments', allDescendants: false }],
        select: { fields: fields.map((fieldPath) => ({ fieldPath })) },
        where: {
          compositeFilter: {
            op: 'AND',
            filters: [
              where('dateClosed', 'GREATER_THAN_OR_EQUAL', { timestampValue: new Date().toISOString() }),
              where('testData', 'EQUAL', { booleanValue: false }),
            ],
          },
        },
      },
    }),
  });
  if (!response.ok) throw new Error(`The query is refused: ${await response.text()}`);
  const found = (await response.json()).filter((each) => each.document);
  return Object.fromEntries(found.map(({ document }) => [document.name.split('/').at(-1), document.fields]));
}

// The dashboard's own client library, as published on npm, does what the dashboard and a student's tasks
// do with it: signs in to both projects, makes, edits and deletes administrations, begins and ends tasks.
// Real emulators, our server; in the end, the documents are what they must be.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { checksOn, comparable, expectedAssignment } from './support/checks.mjs';
import { asSets, plain, sameDocument } from './support/compare.mjs';
import { loadAssessmentRules, openFirekit, readOwnAssignments, seedAssessment } from './support/firekit.mjs';
import { eventually } from './support/processes.mjs';
import { openSdks, PASSWORD } from './support/sdk.mjs';
import { DISTRICT_1, emailOf, orgLists, OTHERS, seed, STUDENTS, withAncestors } from './support/seed.mjs';
import { startSuite } from './support/suite.mjs';

const DAY = 86_400_000;

// Students by what they are to do. Their grades are in the order of support/seed.mjs.
const FULL = 'student-03'; // grade 3, class 1: does all
const OTHER = 'student-04'; // grade 4, class 1: completes a task hosted elsewhere, without a start

// Conditions as the form of the dashboard builds them; `expectedTasks` is what they come to.
const grade = (id, op, value) => ({ id, field: 'studentData.grade', op, value });
const all = (...conditions) => ({ op: 'AND', conditions });
const ASSESSMENTS = [
  {
    taskId: 'swr',
    variantId: 'variant-swr',
    variantName: 'short adaptive',
    params: { userMode: 'shortAdaptive', scoringVersion: 7, recruitment: 'pilot', story: null },
    conditions: { assigned: all(grade(0, 'GREATER_THAN_OR_EQUAL', '1'), grade(1, 'LESS_THAN_OR_EQUAL', '4')) },
  },
  {
    taskId: 'pa',
    variantId: 'variant-pa',
    variantName: 'default',
    params: { userMode: 'default' },
    conditions: { assigned: all(grade(0, 'NOT_EQUAL', '2')), optional: all(grade(0, 'EQUAL', '5')) },
  },
  {
    taskId: 'roar-inference',
    variantId: 'variant-inference',
    variantName: 'English',
    params: { language: 'en' },
    conditions: { assigned: all(grade(0, 'GREATER_THAN', 'K')), optional: true },
  },
];
const LETTER = { taskId: 'letter', variantId: 'variant-letter', variantName: 'upper case', params: { case: 'upper' } };
const CONSENT = {
  consent: [{ type: 'consent', fileName: 'consent.md', currentCommit: 'abc1234' }],
  assent: [{ type: 'assent', fileName: 'assent.md', currentCommit: 'abc1234' }],
  amount: '',
  expectedTime: '',
};

const FORM = {
  name: 'Fall 2026, district 1',
  publicName: 'Fall reading games',
  assessments: ASSESSMENTS,
  dateOpen: new Date(Date.now() - DAY),
  dateClose: new Date(Date.now() + 30 * DAY),
  sequential: false,
  orgs: { districts: ['district-1'], schools: [], classes: [], groups: [], families: [] },
  tags: ['fall'],
  isTestData: false,
  legal: CONSENT,
};

let suite;
let sdks;
let checks;
let page; // of whoever is signed in
let id; // the administration's

before(async () => {
  suite = await startSuite({ bothProjects: true });
  sdks = openSdks(suite);
  checks = checksOn(sdks.db);
  const people = ['super', 'district-admin', 'other-admin', FULL, OTHER];
  await Promise.all([
    loadAssessmentRules(suite),
    seed(sdks, [FULL, OTHER]),
    seedAssessment(sdks, [...ASSESSMENTS, LETTER], people),
  ]);
  // Who they are is for the server to tell both accounts.
  await Promise.all(people.map((person) => sdks.auth.setCustomUserClaims(`uid-${person}`, null)));
});

after(async () => {
  await page?.close();
  await sdks?.close();
  await suite?.stop();
});

/** Has somebody sign in, after whoever is has closed the page. */
async function open(who) {
  await page?.close();
  page = await openFirekit(suite, suite.functionsPort, emailOf(who));
  return page.firekit;
}

const pathOf = (student, administration = id) => `users/${student}/assignments/${administration}`;
const settled = (what, ...probes) => checks.settled(id, what, ...probes);

/** The one administration that isn't among these. */
async function newAdministration(...known) {
  const ids = Object.keys(await checks.collectionOf('administrations')).filter((each) => !known.includes(each));
  assert.equal(ids.length, 1, `new administrations: ${ids.join(', ')}`);
  return ids[0];
}

/** The tasks of a student by grade; the conditions of `ASSESSMENTS`, worked out by hand. */
function expectedTasks(grade) {
  const [swr, pa, inference] = ASSESSMENTS.map(({ conditions, ...rest }) => rest);
  return [
    ...(['1', '2', '3', '4'].includes(grade) ? [{ ...swr, optional: false }] : []),
    ...(grade === '2' ? [] : [{ ...pa, optional: grade === '5' }]),
    ...(grade === 'Kindergarten' ? [] : [{ ...inference, optional: true }]),
  ];
}

const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

/** What the counts of an org say, as `[assigned, started, completed]`. */
async function totals(org = 'total') {
  const counts = (await checks.countsOf(id))[org];
  const of = (what) => ['assigned', 'started', 'completed'].map((counter) => counts[what]?.[counter] ?? 0);
  return { assignment: of('assignment'), swr: of('swr'), pa: of('pa'), inference: of('roar-inference') };
}

test('a super admin signs in to both projects', async () => {
  const firekit = await open('super');
  assert.equal(firekit.superAdmin, true);
  assert.equal(firekit.roarUid, 'super');
  for (const [project, uid] of [['admin', 'uid-super'], ['app', 'assessment-super']]) {
    const token = claimsOf(firekit.idTokens[project]);
    assert.equal(token.sub, uid);
    assert.equal(token.roarUid, 'super', `the token of ${project} doesn't name its user document`);
  }
  assert.deepEqual(Object.keys(await firekit.getTasksDictionary()).sort(), ['letter', 'pa', 'roar-inference', 'swr']);
});

test('createAdministration reaches all students of a district', async () => {
  await page.firekit.createAdministration(FORM);
  id = await newAdministration();
  await settled('all assignments are made', checks.isSynced);

  const administration = await checks.documentAt(`administrations/${id}`);
  const { dateCreated, minimalOrgs, readOrgs, syncStatus, syncChunksTotal, syncChunksCompleted, ...rest } = administration;
  const { dateOpen, dateClose, orgs, isTestData, ...form } = FORM;
  sameDocument(`administrations/${id}`, rest, {
    ...form, dateOpened: dateOpen, dateClosed: dateClose, testData: false, createdBy: 'super', formatVersion: 2,
  });
  sameDocument('minimalOrgs', minimalOrgs, orgLists({ districts: ['district-1'] }));
  sameDocument('readOrgs', asSets(readOrgs), asSets(DISTRICT_1));
  await checks.subcollectionsAre(id, DISTRICT_1, DISTRICT_1);

  const assignments = await checks.assignmentsOf(id);
  assert.deepEqual(Object.keys(assignments).sort(), [...STUDENTS.keys()].sort());
  for (const [student, user] of STUDENTS) {
    const expected = expectedAssignment(id, administration, DISTRICT_1, user, expectedTasks(user.studentData.grade));
    sameDocument(pathOf(student), comparable(assignments[student]), expected);
  }
  // Ten of each grade, and one more in the third.
  assert.deepEqual(await totals(), { assignment: [61, 0, 0], swr: [41, 0, 0], pa: [51, 0, 0], inference: [51, 0, 0] });
  assert.deepEqual((await checks.documentAt('users/super')).adminData.administrationsCreated, [id]);
});

test('a student signs in and finds the assignment', async () => {
  const firekit = await open(FULL);
  assert.equal(firekit.isAdmin(), false);
  await firekit.getMyData();
  const user = STUDENTS.get(FULL);
  assert.equal(firekit.userData.username, FULL);
  assert.equal(firekit.roarAppUserInfo.assessmentPid, user.assessmentPid);
  assert.equal(firekit.roarAppUserInfo.assessmentUid, user.assessmentUid);

  const found = await readOwnAssignments(suite, firekit);
  assert.deepEqual(Object.keys(found), [id]);
  assert.equal(found[id].publicName.stringValue, FORM.publicName);
  assert.deepEqual(
    found[id].assessments.arrayValue.values.map(({ mapValue: { fields } }) => [fields.taskId.stringValue, fields.optional.booleanValue]),
    [['swr', false], ['pa', false], ['roar-inference', true]],
  );
});

let run; // of the first task: path and what its trials come to

test('a student begins a task, and a run of it', async () => {
  const { firekit } = page;
  const appkit = await firekit.startAssessment(id, 'swr', '1.2.3');
  await settled('the start is counted');
  assert.deepEqual(await totals(), { assignment: [61, 1, 0], swr: [41, 1, 0], pa: [51, 0, 0], inference: [51, 0, 0] });

  await appkit.startRun();
  await appkit.writeTrial({ assessment_stage: 'test_response', correct: true, thetaEstimate: 0.4, thetaSE: 0.2 });
  await appkit.writeTrial({ assessment_stage: 'test_response', correct: false, thetaEstimate: 0.1, thetaSE: 0.1 });
  await appkit.updateEngagementFlags([], true);
  await appkit.finishRun();
  const { db } = sdks.assessment;
  const [written, ...others] = (await db.collection(`users/${FULL}/runs`).get()).docs;
  assert.equal(others.length, 0);
  run = written.ref.path;
  const { timeStarted, timeFinished, ...fields } = written.data();
  const assigningOrgs = { districts: ['district-1'], schools: ['school-1'], classes: ['class-1'], groups: [], families: [] };
  const known = Object.fromEntries(
    ['assignmentId', 'assigningOrgs', 'readOrgs', 'taskId', 'taskVersion', 'variantId', 'completed', 'reliable', 'scores']
      .map((field) => [field, fields[field]]),
  );
  sameDocument(run, known, {
    assignmentId: id,
    assigningOrgs,
    readOrgs: assigningOrgs,
    taskId: 'swr',
    taskVersion: '1.2.3',
    variantId: 'variant-swr',
    completed: true,
    reliable: true,
    scores: {
      raw: { composite: { test: { thetaEstimate: 0.1, thetaSE: 0.1, numAttempted: 2, numCorrect: 1, numIncorrect: 1 } } },
      computed: { composite: 0 },
    },
  });
  assert.ok(timeFinished.toMillis() >= timeStarted.toMillis());
  await settled('the run is the best', async () => {
    assert.equal((await written.ref.get()).data().bestRun, true);
    const [swr] = (await checks.documentAt(pathOf(FULL))).assessments;
    assert.deepEqual([swr.runId, swr.allRunIds], [written.id, [written.id]]);
  });
});

test('a student completes all required tasks', async () => {
  const { firekit } = page;
  await firekit.completeAssessment(id, 'swr');
  await settled('the completion of a task is counted');
  assert.deepEqual(await totals(), { assignment: [61, 1, 0], swr: [41, 1, 1], pa: [51, 0, 0], inference: [51, 0, 0] });

  // Neither a start nor an end.
  await firekit.updateVideoMetadata(id, 'pa', 'started');
  await firekit.updateVideoMetadata(id, 'pa', 'completed');
  await firekit.startAssessment(id, 'pa', '1.2.3');
  await firekit.completeAssessment(id, 'pa');
  await settled('the completion of the assignment is counted');
  assert.deepEqual(await totals(), { assignment: [61, 1, 1], swr: [41, 1, 1], pa: [51, 1, 1], inference: [51, 0, 0] });
  assert.deepEqual((await totals('class-1')).assignment, [19, 1, 1]);

  const assignment = await checks.documentAt(pathOf(FULL));
  assert.equal(assignment.started, true);
  assert.equal(assignment.completed, true);
  const [swr, pa, inference] = assignment.assessments;
  for (const done of [swr, pa]) assert.ok(done.completedOn.toMillis() >= done.startedOn.toMillis());
  assert.ok(pa.videoCompletedOn && pa.videoStartedOn, 'the times of the video are lost');
  assert.equal(inference.startedOn, undefined);
  // The library leaves this field as it was; the run has moved it.
  assert.deepEqual(assignment.progress, { swr: 'completed', pa: 'assigned', roar_inference: 'assigned' });
  const user = await checks.documentAt(`users/${FULL}`);
  assert.deepEqual(user.assignments, { assigned: [id], started: [id], completed: [id] });
});

test('a task hosted elsewhere is completed without a start', async () => {
  const firekit = await open(OTHER);
  await firekit.completeAssessment(id, 'pa');
  await settled('the completion is counted as a start too');
  assert.deepEqual(await totals(), { assignment: [61, 1, 1], swr: [41, 1, 1], pa: [51, 2, 2], inference: [51, 0, 0] });
});

let second; // an administration of a school that the district's admin makes

test('the pages of an administrator show what has come of it', async () => {
  const firekit = await open('district-admin');
  assert.deepEqual(await firekit.getAdministrations({ testData: false }), [id]);
  assert.deepEqual(await firekit.getAdministrations({ testData: true }), []);
  // Net: whoever has completed it no longer counts as started.
  const { data } = await firekit.getAssignmentStats({ administrationIds: [id], fetchAllTaskIds: true });
  assert.deepEqual(data, {
    [id]: {
      assigned: 60, started: 0, completed: 1,
      byTask: {
        swr: { assigned: 40, started: 0, completed: 1 },
        pa: { assigned: 49, started: 0, completed: 2 },
        'roar-inference': { assigned: 51, started: 0, completed: 0 },
      },
    },
  });
  const inSchool = { administrationIds: [id], orgId: 'school-2', orgType: 'school', taskIds: ['swr', 'letter'] };
  const ofSchool = (await firekit.getAssignmentStats(inSchool)).data[id];
  assert.deepEqual(ofSchool.byTask.letter, { assigned: 0, started: 0, completed: 0 });
  const root = await firekit.getAdministrationOrgsAndStats(id);
  const net = (assigned, started, completed) => ({ assignment: { assigned, started, completed } });
  assert.deepEqual(root.data, [
    { orgId: 'district-1', name: 'Valley Unified', orgType: 'district', hasChildren: true, stats: root.data[0].stats },
  ]);
  const { assigned, started, completed } = root.data[0].stats.assignment;
  assert.deepEqual([started, completed], [0, 1]);
  const schools = await firekit.getAdministrationOrgsAndStats(id, 'district-1', 'district');
  const rows = Object.fromEntries(schools.data.map(({ orgId, ...row }) => [orgId, row]));
  assert.deepEqual(Object.keys(rows).sort(), ['school-1', 'school-2']);
  assert.equal(rows['school-1'].name, 'Oak Elementary');
  assert.equal(rows['school-1'].districtId, 'district-1');
  assert.deepEqual([rows['school-1'].stats.assignment.completed, rows['school-2'].stats.assignment.completed], [1, 0]);
  const sum = rows['school-1'].stats.assignment.assigned + rows['school-2'].stats.assignment.assigned;
  assert.equal(sum, assigned, 'the schools have all of the district');
  const classes = await firekit.getAdministrationOrgsAndStats(id, 'school-2', 'school');
  assert.deepEqual(
    classes.data.map(({ orgId, orgType, schoolId, stats }) => ({ orgId, orgType, schoolId, stats })).sort((a, b) => (a.orgId < b.orgId ? -1 : 1)),
    ['class-3', 'class-4'].map((orgId) => {
      const students = [...STUDENTS.values()].filter((user) => user.classes.current.includes(orgId)).length;
      return { orgId, orgType: 'class', schoolId: 'school-2', stats: net(students, 0, 0) };
    }),
  );
});

test('an administrator makes another, and sets a password', async () => {
  const { firekit } = page;
  const name = { first: 'Amara', middle: null, last: 'Lindqvist' };
  const school = orgLists({ schools: ['school-1'] });
  await firekit.createAdministrator(emailOf('principal'), name, { ...school, districts: ['district-1'] }, school);
  const { uid } = await sdks.auth.getUserByEmail(emailOf('principal'));
  // As ListUsers does, with every field of its form.
  await firekit.updateUserRecord(uid, { password: PASSWORD, email: null, displayName: undefined });
  const principal = await open('principal');
  assert.equal(principal.roarUid, uid);
  assert.equal(claimsOf(principal.idTokens.admin).role, 'admin');
  assert.equal(claimsOf(principal.idTokens.app).roarUid, uid);
  assert.equal(principal.isAdmin(), true);
  assert.deepEqual(await principal.getAdministrations({}), [id]);
});

test("an administrator makes one for a school of theirs, and of nobody else's", async (context) => {
  const firekit = await open('district-admin');
  assert.equal(firekit.isAdmin(), true);
  const form = { ...FORM, name: 'School 2', publicName: undefined, assessments: [ASSESSMENTS[0]] };
  await firekit.createAdministration({ ...form, orgs: { schools: ['school-2'] } });
  second = await newAdministration(id);
  await checks.settled(second, 'the school has its assignments', checks.isSynced);
  const administration = await checks.documentAt(`administrations/${second}`);
  assert.equal(administration.publicName, 'School 2');
  const orgs = orgLists({ schools: ['school-2'], classes: ['class-3', 'class-4'] });
  const assignments = await checks.assignmentsOf(second);
  const inSchool = [...STUDENTS].filter(
    ([, user]) => user.schools.current.includes('school-2') && ['1', '2', '3', '4'].includes(user.studentData.grade),
  );
  assert.deepEqual(Object.keys(assignments).sort(), inSchool.map(([student]) => student).sort());
  for (const [student, user] of inSchool) {
    const tasks = expectedTasks(user.studentData.grade).filter((task) => task.taskId === 'swr');
    sameDocument(
      pathOf(student, second),
      comparable(assignments[student]),
      expectedAssignment(second, administration, orgs, user, tasks),
    );
  }

  // The library says why on the console, too.
  context.mock.method(console, 'error', () => {});
  await assert.rejects(
    firekit.createAdministration({ ...form, orgs: { schools: ['school-3'] } }),
    (error) => error.code === 'permission-denied',
  );
});

test('an edit by somebody else keeps all work', async () => {
  const firekit = await open('super');
  const before = await checks.assignmentsOf(second);
  const { dateCreated } = await checks.documentAt(`administrations/${second}`);
  await firekit.createAdministration({
    ...FORM,
    administrationId: second,
    name: 'School 2, with letters',
    publicName: 'Letters',
    assessments: [ASSESSMENTS[0], LETTER],
    orgs: { schools: ['school-2'] },
  });
  // The form sends its own time and person as the creation's.
  const administration = await checks.documentAt(`administrations/${second}`);
  assert.ok(administration.dateCreated.toMillis() > dateCreated.toMillis());
  assert.equal(administration.createdBy, 'super');

  const orgs = orgLists({ schools: ['school-2'], classes: ['class-3', 'class-4'] });
  await checks.settled(second, 'all have the new task', checks.isSynced, async () => {
    const assignments = await checks.assignmentsOf(second);
    for (const [student, user] of [...STUDENTS].filter(([, each]) => each.schools.current.includes('school-2'))) {
      const tasks = expectedTasks(user.studentData.grade).filter((task) => task.taskId === 'swr');
      assert.ok(assignments[student], `${pathOf(student, second)} is missing`);
      sameDocument(
        pathOf(student, second),
        comparable(assignments[student]),
        expectedAssignment(second, administration, orgs, user, [...tasks, { ...LETTER, optional: false }]),
      );
      const since = before[student]?.dateAssigned;
      if (since) sameDocument(`${pathOf(student, second)} dateAssigned`, assignments[student].dateAssigned, since);
    }
  });
  await checks.subcollectionsAre(second, orgs, withAncestors(orgs));
  for (const creator of ['super', 'district-admin']) {
    const { administrationsCreated } = (await checks.documentAt(`users/${creator}`)).adminData;
    assert.ok(administrationsCreated.includes(second), `users/${creator} doesn't list it`);
  }
});

test('assignAdministrationToOrgs adds an org', async () => {
  await page.firekit.assignAdministrationToOrgs(second, orgLists({ classes: ['class-1'] }));
  const orgs = orgLists({ schools: ['school-2'], classes: ['class-1', 'class-3', 'class-4'], groups: ['group-1'] });
  await checks.settled(second, 'the class is assigned', checks.isSynced, async () => {
    const administration = await checks.documentAt(`administrations/${second}`);
    sameDocument('minimalOrgs', asSets(administration.minimalOrgs), orgLists({ schools: ['school-2'], classes: ['class-1'] }));
    const members = [...STUDENTS].filter(([, { schools, classes }]) => schools.current.includes('school-2') || classes.current.includes('class-1'));
    assert.deepEqual(Object.keys(await checks.assignmentsOf(second)).sort(), members.map(([student]) => student).sort());
  });
  await checks.subcollectionsAre(second, orgs, withAncestors(orgs));
});

test('unassignAdministrationToOrgs changes nothing', async () => {
  // The library takes the org from lists on the document that its own administrations don't have: they keep
  // their orgs in `minimalOrgs`, which it leaves alone. An org is taken away by editing the administration.
  const before = plain(await checks.assignmentsOf(second));
  const { minimalOrgs } = await checks.documentAt(`administrations/${second}`);
  await page.firekit.unassignAdministrationToOrgs(second, orgLists({ classes: ['class-1'] }));
  await checks.settled(second, 'all is at rest', checks.isSynced);
  sameDocument('minimalOrgs', (await checks.documentAt(`administrations/${second}`)).minimalOrgs, minimalOrgs);
  sameDocument('assignments', plain(await checks.assignmentsOf(second)), before);
});

test('an edit takes an org away', async () => {
  await page.firekit.createAdministration({
    ...FORM, administrationId: second, assessments: [ASSESSMENTS[0], LETTER], orgs: { classes: ['class-1'] },
  });
  const members = [...STUDENTS].filter(([, { classes }]) => classes.current.includes('class-1')).map(([student]) => student);
  await checks.settled(second, 'only the class is left', checks.isSynced, async () => {
    assert.deepEqual(Object.keys(await checks.assignmentsOf(second)).sort(), members.sort());
  });
});

test('deleteAdministration leaves nothing of it', async () => {
  const { firekit } = page;
  // It deletes what it finds in subcollections and only then reads the administration, which its SDK refuses:
  // one that ever had counts can't be deleted this way.
  await assert.rejects(firekit.deleteAdministration(second), /all reads to be executed before all writes/);
  await checks.settled(second, 'nothing has changed', checks.isSynced);
  // Without those documents it works. The server makes them again for an administration that is there, but
  // only when something changes.
  for (const name of ['stats', 'readOrgs']) {
    for (const each of await sdks.db.collection(`administrations/${second}/${name}`).listDocuments()) await each.delete();
  }
  await firekit.deleteAdministration(second);
  await eventually('nothing is left', async () => {
    await checks.nothingIsLeftOf(second);
    await checks.tasksAreDone();
  });
  // The other one is as it was.
  await settled('all is at rest', checks.isSynced);
  assert.deepEqual(await totals(), { assignment: [61, 1, 1], swr: [41, 1, 1], pa: [51, 2, 2], inference: [51, 0, 0] });
});

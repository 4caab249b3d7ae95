// An administration's whole life, as the dashboard and its students drive it: made through the callable,
// assigned to a district, worked on, edited, taken from a school, deleted. Real SDKs, real emulators,
// our server; after every step the documents are compared, and the counts with a recount.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { collection, deleteDoc, doc, getDoc, getDocs, serverTimestamp, setDoc, writeBatch } from 'firebase/firestore';

import { checksOn, comparable, expectedAssignment, memberships } from './support/checks.mjs';
import { asSets, sameDocument } from './support/compare.mjs';
import { eventually } from './support/processes.mjs';
import { openSdks } from './support/sdk.mjs';
import { DISTRICT_1, emailOf, orgLists, OTHERS, seed, STUDENTS, withAncestors } from './support/seed.mjs';
import { completeTask, startTask } from './support/student.mjs';
import { startSuite } from './support/suite.mjs';

const DAY = 86_400_000;

// Students by what they are to do. Their grades are in the order of support/seed.mjs.
const FULL = 'student-03'; // grade 3, class 1: does all
const EXTERNAL = 'student-06'; // kindergarten, class 2: completes a task hosted elsewhere, without a start
const OPTIONAL = 'class-only'; // grade 3, in the class alone: starts the optional task
const FIFTH = 'student-17'; // grade 5, class 3, the other school: one required task

const REQUEST = {
  name: 'Fall 2026, district 1',
  publicName: 'Fall reading games',
  assessments: [
    {
      taskId: 'swr',
      params: { userMode: 'shortAdaptive', scoringVersion: 7, sound: true, story: null },
      variantId: 'variant-swr',
      variantName: 'short adaptive',
      conditions: {
        assigned: {
          op: 'AND',
          conditions: [{ field: 'studentData.grade', op: 'GREATER_THAN_OR_EQUAL', value: '1' }],
        },
      },
    },
    {
      taskId: 'pa',
      params: {},
      variantId: 'variant-pa',
      variantName: 'default',
      conditions: {
        optional: { op: 'AND', conditions: [{ id: 0, field: 'studentData.grade', op: 'EQUAL', value: '5' }] },
      },
    },
    {
      // Counts keep its hyphen; keys of `progress` turn it into an underscore.
      taskId: 'roar-inference',
      params: { language: 'en' },
      variantId: 'variant-inference',
      variantName: 'English',
      conditions: { optional: true },
    },
  ],
  dateOpen: new Date(Date.now() - DAY).toISOString(),
  dateClose: new Date(Date.now() + 30 * DAY).toISOString(),
  sequential: true,
  orgs: { districts: ['district-1'] },
  tags: ['fall'],
  isTestData: false,
  legal: { consent: [{ type: 'consent', fileName: 'consent.md' }], assent: null, amount: '', expectedTime: '' },
  requestId: 'fall-2026-district-1',
};

let suite;
let sdks;
let checks;
let admin;
let otherAdmin;
let superAdmin;
let students;
let id; // the administration's

before(async () => {
  suite = await startSuite();
  sdks = openSdks(suite);
  checks = checksOn(sdks.db);
  await seed(sdks, [FULL, EXTERNAL, OPTIONAL, FIFTH]);
  [admin, otherAdmin, superAdmin] = await Promise.all(
    ['district-admin', 'other-admin', 'super'].map((who) => sdks.signIn(emailOf(who))),
  );
  students = Object.fromEntries(
    await Promise.all([FULL, EXTERNAL, OPTIONAL, FIFTH].map(async (who) => [who, await sdks.signIn(emailOf(who))])),
  );
});

after(async () => {
  await sdks?.close();
  await suite?.stop();
});

const pathOf = (student) => `users/${student}/assignments/${id}`;

/** Waits until the given holds of the administration, and everything that must hold always. */
const settled = (what, ...probes) => checks.settled(id, what, ...probes);

/** The tasks of a student by grade; the conditions of `REQUEST`, worked out by hand. */
function expectedTasks(grade) {
  const [swr, pa, inference] = REQUEST.assessments.map(({ conditions, ...rest }) => rest);
  return [
    ...(grade === 'Kindergarten' ? [] : [{ ...swr, optional: false }]),
    { ...pa, optional: grade === '5' },
    { ...inference, optional: true },
  ];
}

async function fails(call, code, message = /./) {
  await assert.rejects(call, (error) => {
    assert.equal(error.code, `functions/${code}`, `${error.code}: ${error.message}`);
    assert.match(error.message, message);
    return true;
  });
}

// ---- The story ------------------------------------------------------------------------------------------

test('people without the right to, and wrong requests, are told so', async () => {
  const { requestId: _, ...request } = REQUEST;
  const call = (who, changes) => who.call('createAdministration', { ...request, ...changes });

  await fails(call(sdks.anonymous()), 'unauthenticated');
  await fails(call(otherAdmin), 'permission-denied');
  await fails(call(students[FULL]), 'permission-denied');
  await fails(call(admin, { name: '' }), 'invalid-argument', /name/);
  await fails(call(admin, { assessments: [] }), 'invalid-argument', /assessments/);
  await fails(call(admin, { assessments: [{ params: {} }] }), 'invalid-argument', /taskId/);
  await fails(call(admin, { dateClose: request.dateOpen, dateOpen: request.dateClose }), 'invalid-argument', /dateClose/);
  await fails(call(admin, { orgs: {} }), 'invalid-argument', /orgs/);
  await fails(call(admin, { administrationId: 'no-such-administration' }), 'not-found');

  assert.deepEqual(await checks.collectionOf('administrations'), {}, 'a refused request wrote something');
});

test('an administration reaches all students of its district', async () => {
  const result = await admin.call('createAdministration', REQUEST);
  assert.equal(result.status, 'ok');
  id = result.administrationId;
  assert.equal(typeof id, 'string');
  await settled('all assignments are made', checks.isSynced);

  const administration = await checks.documentAt(`administrations/${id}`);
  sameDocument(
    `administrations/${id}`,
    Object.fromEntries(
      ['name', 'publicName', 'createdBy', 'dateOpened', 'dateClosed', 'assessments', 'sequential', 'tags', 'legal', 'testData']
        .map((field) => [field, administration[field]]),
    ),
    {
      name: REQUEST.name,
      publicName: REQUEST.publicName,
      createdBy: 'district-admin',
      dateOpened: REQUEST.dateOpen,
      dateClosed: REQUEST.dateClose,
      assessments: REQUEST.assessments,
      sequential: true,
      tags: REQUEST.tags,
      legal: REQUEST.legal,
      testData: false,
    },
  );
  assert.equal(administration.formatVersion, 2);
  sameDocument(`administrations/${id} minimalOrgs`, administration.minimalOrgs, orgLists({ districts: ['district-1'] }));
  sameDocument(`administrations/${id} readOrgs`, asSets(administration.readOrgs), asSets(DISTRICT_1));
  assert.equal(administration.syncChunksCompleted, administration.syncChunksTotal);

  const creator = await checks.documentAt('users/district-admin');
  assert.deepEqual(creator.adminData.administrationsCreated, [id]);
});

test('each assignment is right in every field', async () => {
  const administration = await checks.documentAt(`administrations/${id}`);
  const assignments = await checks.assignmentsOf(id);
  assert.deepEqual(Object.keys(assignments).sort(), [...STUDENTS.keys()].sort());
  for (const [student, user] of STUDENTS) {
    const { dateAssigned, lastSyncedFromAdministration } = assignments[student];
    const expected = expectedAssignment(id, administration, DISTRICT_1, user, expectedTasks(user.studentData.grade));
    sameDocument(pathOf(student), comparable(assignments[student]), expected);
    sameDocument(`${pathOf(student)} dateAssigned`, dateAssigned, lastSyncedFromAdministration);
    assert.ok(dateAssigned.toMillis() >= administration.dateCreated.toMillis(), `${pathOf(student)} was assigned too early`);
    assert.ok(dateAssigned.toMillis() <= Date.now(), `${pathOf(student)} was assigned in the future`);
  }
  for (const other of OTHERS.keys()) {
    assert.equal((await sdks.db.collection(`users/${other}/assignments`).get()).size, 0, `${other} has an assignment`);
    assert.equal((await checks.documentAt(`users/${other}`)).assignments, undefined);
  }
});

test('the counts are right by hand, too', async () => {
  const stats = await checks.countsOf(id);
  assert.deepEqual(Object.keys(stats).sort(), ['total', ...Object.values(DISTRICT_1).flat()].sort());
  assert.deepEqual(stats.total, {
    assignment: { assigned: 61 },
    swr: { assigned: 51 }, // ten are in kindergarten
    pa: { assigned: 61 },
    'roar-inference': { assigned: 61 },
  });
  assert.equal(stats['district-1'].assignment.assigned, 60); // one is in a class and in no district
  assert.equal(stats['class-1'].assignment.assigned, 19);
  assert.equal(stats['group-1'].assignment.assigned, 9);
});

test('the orgs of an administration are listed in its subcollections', async () => {
  await checks.subcollectionsAre(id, DISTRICT_1, DISTRICT_1);
});

test('a repeated request makes nothing new', async () => {
  const before = await sdks.db.doc(`administrations/${id}`).get();
  assert.deepEqual(await admin.call('createAdministration', REQUEST), { status: 'ok', administrationId: id });
  const after = await sdks.db.doc(`administrations/${id}`).get();
  assert.ok(after.updateTime.isEqual(before.updateTime), 'the administration was written again');
  assert.deepEqual(Object.keys(await checks.collectionOf('administrations')), [id]);
});

test('a running administration is not changed through the callable', async () => {
  const { requestId: _, ...request } = REQUEST;
  await fails(admin.call('createAdministration', { ...request, administrationId: id }), 'failed-precondition');
  await fails(otherAdmin.call('createAdministration', { ...request, administrationId: id }), 'permission-denied');
});

// Every step names what it adds to the counts of `total` and of one org, so that a recount of wrong
// documents can't agree with wrong counts.
async function totals(org = 'total') {
  const stats = await checks.countsOf(id);
  const of = (what) => [stats[org][what]?.started ?? 0, stats[org][what]?.completed ?? 0];
  return { assignment: of('assignment'), swr: of('swr'), pa: of('pa'), inference: of('roar-inference') };
}

test('a student starts and completes tasks', async () => {
  const student = students[FULL];
  await startTask(student, pathOf(FULL), 'swr');
  await settled('the start is counted');
  assert.deepEqual(await totals(), { assignment: [1, 0], swr: [1, 0], pa: [0, 0], inference: [0, 0] });

  await completeTask(student, pathOf(FULL), 'swr');
  await settled('the completion of a task is counted');
  assert.deepEqual(await totals(), { assignment: [1, 0], swr: [1, 1], pa: [0, 0], inference: [0, 0] });

  await startTask(student, pathOf(FULL), 'pa');
  await settled('the second start is counted');
  assert.deepEqual(await totals(), { assignment: [1, 0], swr: [1, 1], pa: [1, 0], inference: [0, 0] });

  await completeTask(student, pathOf(FULL), 'pa');
  await settled('the completion of the assignment is counted');
  assert.deepEqual(await totals(), { assignment: [1, 1], swr: [1, 1], pa: [1, 1], inference: [0, 0] });
  assert.deepEqual(await totals('class-1'), await totals());
  assert.deepEqual(await totals('school-1'), await totals());
});

test('a task hosted elsewhere is completed without a start', async () => {
  await completeTask(students[EXTERNAL], pathOf(EXTERNAL), 'pa');
  await settled('the completion is counted as a start too');
  assert.deepEqual(await totals(), { assignment: [2, 2], swr: [1, 1], pa: [2, 2], inference: [0, 0] });
});

test('students who work at the same time are all counted', async () => {
  await Promise.all([
    startTask(students[OPTIONAL], pathOf(OPTIONAL), 'roar-inference'),
    (async () => {
      await startTask(students[FIFTH], pathOf(FIFTH), 'swr');
      await completeTask(students[FIFTH], pathOf(FIFTH), 'swr');
    })(),
  ]);
  await settled('all their work is counted');
  assert.deepEqual(await totals(), { assignment: [4, 3], swr: [2, 2], pa: [2, 2], inference: [1, 0] });
  assert.deepEqual(await totals('class-1'), { assignment: [2, 1], swr: [1, 1], pa: [1, 1], inference: [1, 0] });
  assert.deepEqual(await totals('school-2'), { assignment: [1, 1], swr: [1, 1], pa: [0, 0], inference: [0, 0] });
  // In the class, but in no school and no district.
  assert.deepEqual(await totals('school-1'), { assignment: [2, 2], swr: [1, 1], pa: [2, 2], inference: [0, 0] });
});

test("an edit in the dashboard's way adds a task and keeps all work", async () => {
  const before = await checks.assignmentsOf(id);
  const reference = doc(admin.db, 'administrations', id);
  const { dateCreated, minimalOrgs } = (await getDoc(reference)).data();
  await setDoc(
    reference,
    {
      name: REQUEST.name,
      publicName: 'Fall reading games, with letters',
      createdBy: 'district-admin',
      dateCreated,
      assessments: [
        ...REQUEST.assessments,
        { taskId: 'letter', params: { upper: true }, variantId: 'variant-letter', variantName: 'letters' },
      ],
      sequential: true,
      formatVersion: 2,
      minimalOrgs,
    },
    { merge: true },
  );
  await settled('all assignments have the task', checks.isSynced, async () => {
    const assignments = await checks.assignmentsOf(id);
    assert.deepEqual(Object.keys(assignments).sort(), [...STUDENTS.keys()].sort());
    for (const [student, assignment] of Object.entries(assignments)) {
      assert.equal(assignment.publicName, 'Fall reading games, with letters', `${pathOf(student)} has the old name`);
      sameDocument(`${pathOf(student)} assessments`, assignment.assessments, [
        ...before[student].assessments,
        { taskId: 'letter', params: { upper: true }, variantId: 'variant-letter', variantName: 'letters', optional: false },
      ]);
      assert.equal(assignment.progress.letter, 'assigned', `${pathOf(student)} has no progress of the task`);
      assert.equal(assignment.started, before[student].started, `${pathOf(student)} lost its start`);
      // The new task is required: who was done is no longer.
      assert.equal(assignment.completed, false, `${pathOf(student)} is still completed`);
      sameDocument(`${pathOf(student)} dateAssigned`, assignment.dateAssigned, before[student].dateAssigned);
    }
  });
  // Completed without a start, and completed no more: by the document's flags it isn't started either.
  assert.deepEqual(await totals(), { assignment: [3, 0], swr: [2, 2], pa: [2, 2], inference: [1, 0] });
});

test('taking a school away takes the assignments of its students', async () => {
  const before = await checks.assignmentsOf(id);
  const assigned = orgLists({ schools: ['school-1'], classes: ['class-1', 'class-2'], groups: ['group-1'] });
  await setDoc(doc(admin.db, 'administrations', id), { minimalOrgs: orgLists({ schools: ['school-1'] }) }, { merge: true });
  await settled('only the other school is left', checks.isSynced, async () => {
    const assignments = await checks.assignmentsOf(id);
    const left = [...STUDENTS].filter(([, user]) => user.classes.current.some((each) => assigned.classes.includes(each)));
    assert.deepEqual(Object.keys(assignments).sort(), left.map(([student]) => student).sort());
    for (const [student, user] of left) {
      const orgs = memberships(user, assigned);
      sameDocument(`${pathOf(student)} assigningOrgs`, asSets(assignments[student].assigningOrgs), asSets(orgs));
      sameDocument(`${pathOf(student)} readOrgs`, asSets(assignments[student].readOrgs), asSets(withAncestors(orgs)));
      sameDocument(`${pathOf(student)} assessments`, assignments[student].assessments, before[student].assessments);
    }
    await checks.subcollectionsAre(id, assigned, withAncestors(assigned));
  });
  const stats = await checks.countsOf(id);
  assert.deepEqual(Object.keys(stats).sort(), ['total', ...Object.values(assigned).flat()].sort());
  assert.deepEqual(await totals(), { assignment: [2, 0], swr: [1, 1], pa: [2, 2], inference: [1, 0] });
});

test('deleting the administration leaves nothing of it', async () => {
  // The client library deletes the subcollections that it knows, then the document.
  for (const name of ['stats', 'assigningOrgs', 'readOrgs']) {
    const documents = name === 'assigningOrgs' ? [] : (await getDocs(collection(superAdmin.db, `administrations/${id}/${name}`))).docs;
    const batch = writeBatch(superAdmin.db);
    for (const each of documents) batch.delete(each.ref);
    await batch.commit();
  }
  await deleteDoc(doc(superAdmin.db, 'administrations', id));
  await eventually('nothing is left', async () => {
    await checks.nothingIsLeftOf(id);
    await checks.tasksAreDone();
  });
});

test('an administration that the dashboard writes itself reaches its class; nothing of the old one comes back', async () => {
  const old = id;
  const batch = writeBatch(admin.db);
  const reference = doc(collection(admin.db, 'administrations'));
  batch.set(reference, {
    name: 'Spring',
    publicName: 'Spring',
    createdBy: 'district-admin',
    dateCreated: serverTimestamp(),
    dateOpened: new Date(REQUEST.dateOpen),
    dateClosed: new Date(REQUEST.dateClose),
    assessments: [REQUEST.assessments[0]],
    sequential: true,
    tags: [],
    legal: REQUEST.legal,
    testData: false,
    formatVersion: 2,
    minimalOrgs: orgLists({ classes: ['class-4'] }),
  });
  await batch.commit();
  id = reference.id;
  await settled('the class has its assignments', checks.isSynced);
  const expected = [...STUDENTS].filter(
    ([, user]) => user.classes.current.includes('class-4') && user.studentData.grade !== 'Kindergarten',
  );
  assert.deepEqual(Object.keys(await checks.assignmentsOf(id)).sort(), expected.map(([student]) => student).sort());
  // Events are delivered in turn: by now, all that the deletion caused have been.
  await checks.nothingIsLeftOf(old);
});
